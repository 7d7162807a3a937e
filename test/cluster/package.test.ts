import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import * as roomcast from "../../src/index.ts";
import { compile, makeProject, type Packed, type Project, pack } from "../support/package.ts";
import { serveFrom } from "../support/package-example.ts";
import { describeWithRedis } from "../support/redis.ts";

const SRC = join(import.meta.dirname, "../../src");
/** All that a user gets; types are beside them. */
const EXPORTS = [
  "ConfigError",
  "ERRORS",
  "RoomcastError",
  "createLogger",
  "createNode",
  "parseConfig",
  "reloadRoomTypes",
];

describe("the package", () => {
  it("exports what src/index.ts names, and nothing else", () => {
    expect(Object.keys(roomcast).sort()).toEqual(EXPORTS);
  });

  it("has what a node needs and nothing else", async () => {
    const { files } = await pack();
    const other = files.filter((file) => !/^(dist\/.+\.(js|d\.ts|lua)|dist\/viewer\/.+|web\/demo\/.+)$/.test(file));
    expect(other).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "package.json"]);
    expect(files.filter((file) => file.startsWith("dist/local/"))).toEqual([]);
    const sources = readdirSync(SRC, { recursive: true, encoding: "utf8" });
    const scripts = sources.filter((file) => file.endsWith(".lua")).map((file) => `dist/${file}`);
    expect(files.filter((file) => file.endsWith(".lua"))).toEqual(scripts.sort());
  });
});

describeWithRedis("a project that has nothing but the package and what it names", () => {
  let packed: Packed;
  let project: Project;
  beforeAll(async () => {
    packed = await pack();
    project = await makeProject(packed, "linked");
  });

  it("compiles the example, with every declared type checked, and runs it as ES module and as CommonJS", async () => {
    expect(await compile(project.folder)).toBe("");
    for (const script of Object.values(project.scripts)) await serveFrom(script);
  });
});
