import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const SRC = join(import.meta.dirname, "../../src");

/** Files that know nothing but each other; everybody may import them. */
const GROUND = [
  "calls.ts",
  "client-address.ts",
  "errors.ts",
  "fields.ts",
  "intervals.ts",
  "loopback.ts",
  "payloads.ts",
  "protocol.ts",
  "rounds.ts",
  "shared-listener.ts",
  "variables.ts",
];

/** What each folder of `src/` may import, beside itself and the ground. Nothing imports the other way. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  log: ["presence", "feed", "redis"],
  presence: ["log", "redis"],
  feed: ["log", "presence"],
  redis: [],
  adapter: ["feed", "log", "redis"],
  nodes: ["redis"],
  canary: ["feed", "log"],
  auth: ["log"],
  moderation: ["feed", "log", "presence", "redis"],
  room: ["auth", "feed", "log", "moderation", "presence"],
  socket: ["auth", "feed", "moderation", "nodes", "room"],
  description: ["version.ts"],
  http: ["auth", "room", "telemetry", "description", "config"],
  telemetry: ["canary", "feed", "room"],
  webhooks: ["auth", "log", "redis", "environment.ts"],
  local: [],
  "client-address.ts": [],
  config: ["auth", "room", "telemetry", "webhooks", "environment.ts"],
  "environment.ts": [],
  "calls.ts": ["payloads.ts", "protocol.ts"],
  "errors.ts": [],
  "fields.ts": [],
  "intervals.ts": [],
  "loopback.ts": [],
  "payloads.ts": ["protocol.ts"],
  "protocol.ts": ["errors.ts"],
  "rounds.ts": [],
  "shared-listener.ts": [],
  "variables.ts": ["telemetry"],
  "version.ts": [],
};

/** Where concrete classes are picked: these may import everything. */
const COMPOSITION = [
  "embedding.ts",
  "node-settings.ts",
  "node.ts",
  "store.ts",
  "memory-store.ts",
  "redis-store.ts",
  "main.ts",
  "index.ts",
];

/** Inside log/, presence/ and moderation/, who else than the composition may know an implementation. */
const IMPLEMENTATIONS = /(^|\/)(redis|memory)-[\w-]+\.ts$/;

interface Import {
  readonly from: string;
  readonly to: string;
}

function place(file: string): string {
  return relative(SRC, file).split("/")[0] ?? "";
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, "utf8");
  const found = text.matchAll(/(?:from|import)\s+"(\.{1,2}\/[^"]+)"/g);
  return [...found].map(([, path = ""]) => ({
    from: relative(SRC, file),
    to: relative(SRC, resolve(dirname(file), path)),
  }));
}

const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
const imports = files.flatMap((file) => importsOf(join(SRC, file)));

describe("imports", () => {
  it("are really found", () => {
    expect(files.length).toBeGreaterThan(50);
    expect(imports).toContainEqual({ from: "room/send.ts", to: "log/room-log.ts" });
  });

  it("run one way", () => {
    const wrong = imports.filter(({ from, to }) => {
      const [here, there] = [place(join(SRC, from)), place(join(SRC, to))];
      if (COMPOSITION.includes(here) || here === there || GROUND.includes(there)) return false;
      return !MAY_IMPORT[here]?.includes(there);
    });
    expect(wrong).toEqual([]);
  });

  it("name an implementation only where nodes are put together, and beside it", () => {
    const wrong = imports.filter(({ from, to }) => {
      const isBeside = dirname(from) === dirname(to);
      return IMPLEMENTATIONS.test(to) && !to.startsWith("local/") && !isBeside && !COMPOSITION.includes(from);
    });
    // Memory rooms share one log: presence in memory reads the head where the log keeps it.
    expect(wrong.filter(({ from }) => !from.startsWith("presence/memory-"))).toEqual([]);
  });
});
