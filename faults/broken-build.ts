import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");

/** What is made wrong on purpose, in one place of dist/, so that the checks are seen to find it. */
export const BREAKS = {
  "skip-a-number": {
    file: "feed/feed.js",
    from: "this.#readers.pass(entry);",
    to: "if (entry.seq % 50 !== 0) this.#readers.pass(entry);",
  },
  "no-dedupe": {
    file: "log/scripts/append.lua",
    from: 'local stored = not failure and redis.pcall("GET", KEYS[2 + i])',
    to: "local stored = false",
  },
} as const;
export type Break = keyof typeof BREAKS;

/** A copy of dist/ that is broken, beside it, so that it finds its packages; returns what to run. `remove` it at the end. */
export async function breakBuild(name: Break): Promise<{ script: string; remove(): Promise<void> }> {
  const { file, from, to } = BREAKS[name];
  // By this name scripts/build.mjs removes it where the kit was killed.
  const folder = join(ROOT, `.dist-${process.pid}-${name}`);
  await cp(join(ROOT, "dist"), folder, { recursive: true });
  const path = join(folder, file);
  const parts = (await readFile(path, "utf8")).split(from);
  if (parts.length !== 2) {
    await rm(folder, { recursive: true, force: true });
    throw new Error(`--break ${name} does not fit any more: dist/${file} has ${parts.length - 1} times ${from}`);
  }
  await writeFile(path, parts.join(to));
  return { script: join(folder, "main.js"), remove: () => rm(folder, { recursive: true, force: true }) };
}
