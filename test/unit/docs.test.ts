import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { ERRORS } from "../../src/errors.ts";
import { REQUESTS } from "../../src/protocol.ts";

const ROOT = join(import.meta.dirname, "../..");

function read(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

function filesIn(folder: string, ending: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(ending))
    .map((file) => join(folder, file));
}

/** The first column of the table under a heading, without its code marks. */
function firstColumn(markdown: string, heading: string): string[] {
  const section = markdown.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const rows = [...section.matchAll(/^\| `([^|]+)` \|/gm)];
  return rows.flatMap(([, cell = ""]) => cell.split("`, `"));
}

describe("docs", () => {
  it("README's tables are the ones that the code makes", async () => {
    const script = join(ROOT, "scripts/readme-table.mjs");
    await expect(promisify(execFile)(process.execPath, [script, "--check"])).resolves.toBeDefined();
  });

  it("every rule of docs/spec.md has a test that quotes it, and no test quotes another", () => {
    const rules = [...read("docs/spec.md").matchAll(/^- \*\*(G\d+)\*\*/gm)].map(([, rule]) => rule);
    expect(rules).toHaveLength(9);
    const titles = filesIn("test", ".test.ts").concat(filesIn("test/contract", ".ts")).map(read).join("\n");
    const quoted = new Set([...titles.matchAll(/\[(G\d+)\]/g)].map(([, rule]) => rule));
    expect([...quoted].sort()).toEqual([...rules].sort());
  });

  it("docs/protocol.md names every request and every error, and no other", () => {
    const protocol = read("docs/protocol.md");
    expect(firstColumn(protocol, "Requests").sort()).toEqual(Object.keys(REQUESTS).sort());
    expect(firstColumn(protocol, "Errors").sort()).toEqual(Object.keys(ERRORS).sort());
  });

  it("docs/protocol.md names every event to clients", () => {
    const source = read("src/protocol.ts").split("export interface ServerEvents {")[1] ?? "";
    const events = [...source.matchAll(/^ {2}(\w+): /gm)].map(([, event]) => event);
    expect(events.length).toBeGreaterThan(10);
    expect(firstColumn(read("docs/protocol.md"), "Events").sort()).toEqual(events.sort());
  });

  it("names no file that is not there", () => {
    const missing = ["README.md", "CONTRIBUTING.md", ...filesIn("docs", ".md")].flatMap((file) => {
      const links = [...read(file).matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path = ""]) =>
        join(dirname(file), path),
      );
      const sources = [...read(file).matchAll(/`((?:src|test|scripts)\/[\w./-]+\.\w+)`/g)].map(([, path = ""]) => path);
      return [...links, ...sources].filter((path) => !existsSync(join(ROOT, path))).map((path) => `${file}: ${path}`);
    });
    expect(missing).toEqual([]);
  });
});
