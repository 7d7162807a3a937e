import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readScript } from "../../src/redis/script.ts";

const FOLDERS = ["log", "moderation", "nodes", "presence", "webhooks"].map(
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

describe("the rights in docs/operations.md", () => {
  const operations = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");
  /** Commands that a node's user may call. */
  const rights = (block: string): ReadonlySet<string> => {
    const [, words = ""] = new RegExp(`<!-- ${block}:start -->\\n\`\`\`\\n(.*?)\`\`\``, "s").exec(operations) ?? [];
    return new Set([...words.matchAll(/\+(\w+)/g)].map(([, command = ""]) => command.toUpperCase()));
  };
  const sources = [...FOLDERS, new URL("../../src/redis/scripts/", import.meta.url)].flatMap((folder) =>
    readdirSync(folder).map((name) => ({ name, folder, text: readFileSync(new URL(name, folder), "utf8") })),
  );
  /** Only where an endpoint of webhooks wants what happens. */
  const isOfWebhooks = ({ name, folder, text }: (typeof sources)[number]) =>
    folder.pathname.includes("/webhooks/") || name === "add_event.lua" || text.includes("most_events");
  /** Commands that are called and not among these rights, with the scripts that call them. */
  const lacking = (scripts: typeof sources, known: ReadonlySet<string>) =>
    scripts.flatMap(({ name, text }) =>
      [...text.matchAll(/redis\.p?call\("(\w+)"/g)].flatMap(([, command = ""]) =>
        known.has(command) ? [] : [`${name}: ${command}`],
      ),
    );

  it("are enough for every command of every script, on the paths that few runs take, too", () => {
    const [base, more] = [rights("acl"), rights("acl-webhooks")];
    expect(base.size).toBeGreaterThan(40);
    expect(lacking(sources, new Set([...base, ...more]))).toEqual([]);
    const others = sources.filter((source) => !isOfWebhooks(source));
    expect(others.length).toBeGreaterThan(25);
    expect(lacking(others, base)).toEqual([]);
  });
});
