import { expect, it } from "vitest";
import { compile, makeProject, pack } from "../support/package.ts";
import { serveFrom } from "../support/package-example.ts";
import { describeWithRedis } from "../support/redis.ts";

describeWithRedis("an empty project", () => {
  it("installs the package by npm, compiles the example and runs it, as ES module and as CommonJS", async () => {
    const project = await makeProject(await pack(), "installed");
    expect(await compile(project.folder)).toBe("");
    for (const script of Object.values(project.scripts)) await serveFrom(script);
  });
});
