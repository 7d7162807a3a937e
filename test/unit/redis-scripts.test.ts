import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readScript } from "../../src/redis/script.ts";

const FOLDERS = ["log", "nodes", "presence", "webhooks"].map(
  (folder) => new URL(`../../src/${folder}/scripts/`, import.meta.url),
);
const SCRIPTS = FOLDERS.flatMap((folder) =>
  readdirSync(folder).map((name): [string, string] => [name, readScript(new URL(name, folder)).source]),
);

/** What the header says of `KEYS` or `ARGV`, down to the next heading. */
function section(source: string, name: "KEYS" | "ARGV"): string {
  const header = source.slice(0, source.search(/^(?!--)/m));
  return new RegExp(`^-- ${name} ([^]*?)^-- (?:ARGV|Returns)`, "m").exec(header)?.[1] ?? "";
}

function numbers(text: string, pattern: RegExp): Set<number> {
  return new Set([...text.matchAll(pattern)].map(([, digits]) => Number(digits)));
}

describe.each(SCRIPTS)("%s", (_name, source) => {
  it.each(["KEYS", "ARGV"] as const)("the header names every one of %s that the script uses, and no other", (name) => {
    const used = numbers(source, new RegExp(`${name}\\[(\\d+)\\]`, "g"));
    const said = numbers(section(source, name).replaceAll(/\([^)]*\)/g, ""), /(?<![\w/])(\d+)(?![\w/])/g);
    said.delete(0);
    expect(said).toEqual(used);
  });

  it("has its includes in it, each once and before its use", () => {
    expect(source).not.toContain("@include");
    const defined = [...source.matchAll(/^local function (\w+)/gm)].map(([, name]) => String(name));
    expect(new Set(defined).size).toBe(defined.length);
    for (const name of defined) {
      const first = source.search(new RegExp(`\\b${name}\\(`));
      expect(source.slice(0, first).endsWith("local function ")).toBe(true);
      expect(source.match(new RegExp(`\\b${name}\\(`, "g"))?.length).toBeGreaterThan(1);
    }
  });

  it("is short", () => {
    expect(source.split("\n").length).toBeLessThan(200);
  });
});

it("there are scripts", () => {
  expect(SCRIPTS.length).toBeGreaterThan(8);
});
