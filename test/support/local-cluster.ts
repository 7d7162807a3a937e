import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { expect } from "vitest";
import { freePort } from "../../src/local/ports.ts";
import { eventually } from "./eventually.ts";
import { redisUrl } from "./run-redis.ts";
import { stopsWithTest } from "./teardown.ts";

/** The script of `npm start`. */
export const LOCAL_MAIN = join(import.meta.dirname, "../../src/local/main.ts");
const WITHIN_MS = 30_000;

/** A script of the project's that runs as a process of its own. */
export interface Run {
  readonly child: ChildProcess;
  /** Everything that it has said so far. */
  output(): string;
  readonly exit: Promise<number | null>;
}

/** Runs a script on this run's Redis. Ends with the test that called it. */
export function runScript(script: string, args: readonly string[], env: Record<string, string>): Run {
  const child = spawn(process.execPath, [script, ...args], {
    env: { ...process.env, REDIS_URL: redisUrl(), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      output += chunk;
    });
  }
  const exit = new Promise<number | null>((resolve) => child.once("close", resolve));
  stopsWithTest(async () => {
    child.kill("SIGTERM");
    await exit;
  });
  return { child, output: () => output, exit };
}

/** What `npm start` runs: three nodes behind one sticky port, in a world (key prefix) of their own. */
export async function startLocalCluster(): Promise<Run & { readonly url: string; readonly port: string }> {
  const port = String(await freePort());
  const cluster = runScript(LOCAL_MAIN, [], { PORT: port, REDIS_PREFIX: `t${port}` });
  await eventually(() => expect(cluster.output()).toContain(`http://127.0.0.1:${port}`), { withinMs: WITHIN_MS });
  return { ...cluster, url: `http://127.0.0.1:${port}`, port };
}
