import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { ended, endProcess, spawnTied } from "../../src/local/tied-process.ts";
import { stopsWithTest } from "./teardown.ts";

const ROOT = join(import.meta.dirname, "../..");
/** The first run installs artillery, which is some hundred megabytes. */
export const INSTALL_AND_RUN_MS = 20 * 60_000;
const STOP_GRACE_MS = 10_000;

export interface LoadRun {
  readonly code: number | null;
  readonly said: string;
  /** Counts by name; empty where there was no run. */
  readonly counters: Readonly<Record<string, number>>;
  readonly summaries: Readonly<Record<string, { count: number; p95: number; max: number }>>;
}

/** `npm run load`, as a user runs it; without a script the chat's. */
export async function runLoad(
  { script, ...options }: Record<string, string | number>,
  env: Record<string, string> = {},
): Promise<LoadRun> {
  const folder = mkdtempSync(join(tmpdir(), "roomcast-load-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const report = join(folder, "report.json");
  const args = Object.entries({ ...options, report }).map(([name, value]) => `--${name}=${value}`);
  if (script !== undefined) args.unshift(String(script));
  const child = spawnTied("npm", ["run", "load", "--", ...args], {
    cwd: ROOT,
    env: { ...process.env, JWT_SECRET: "", ...env },
    deathSignal: "SIGTERM",
  });
  stopsWithTest(() => endProcess(child, STOP_GRACE_MS));
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", (text) => (said += text));
  await ended(child);
  const code = child.exitCode;
  try {
    return { code, said, ...JSON.parse(readFileSync(report, "utf8")).aggregate };
  } catch {
    return { code, said, counters: {}, summaries: {} };
  }
}
