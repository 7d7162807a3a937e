import type { ChildProcess } from "node:child_process";
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "./ports.ts";
import { binaryEnv, type RedisBinary } from "./redis-binary.ts";
import { ended, endProcess, spawnTied } from "./tied-process.ts";

const START_TIMEOUT_MS = 15_000;
const STOP_GRACE_MS = 3_000;
const PING_TIMEOUT_MS = 500;
const PING_INTERVAL_MS = 30;

/** The settings that docs/operations.md asks for, which matter here too. */
export const REDIS_SETTINGS = [
  "--maxmemory-policy",
  "noeviction",
  "--client-output-buffer-limit",
  "pubsub 32mb 8mb 60",
];

/** Whether a Redis answers PING on this loopback port, now. One that is still loading its file does not count. */
async function answersPing(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" }, () => socket.write("PING\r\n"));
    const finish = (answers: boolean) => {
      socket.destroy();
      resolve(answers);
    };
    socket.setTimeout(PING_TIMEOUT_MS, () => finish(false));
    socket.once("error", () => finish(false));
    socket.once("data", (data) => finish(data.toString().startsWith("+PONG")));
    socket.once("end", () => finish(false));
  });
}

/** Waits until a Redis answers on the port; false after `withinMs`, or as soon as `gaveUp` says so. */
export async function untilPing(port: number, withinMs: number, gaveUp: () => boolean): Promise<boolean> {
  const deadline = Date.now() + withinMs;
  while (Date.now() < deadline && !gaveUp()) {
    if (await answersPing(port)) return true;
    await delay(PING_INTERVAL_MS);
  }
  return false;
}

/** Starts a server program on a loopback port, with its files in `folder`. Rejects with its own last words. */
export async function spawnRedis(
  binary: RedisBinary,
  port: number,
  folder: string,
  settings: readonly string[],
): Promise<ChildProcess> {
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--daemonize", "no", ...settings];
  const child = spawnTied(binary.command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: binaryEnv(binary.libraryPath),
    cwd: folder,
    deathSignal: "SIGKILL",
    // A group of its own: Ctrl-C in the terminal must not end Redis before the nodes that use it.
    detached: true,
  });
  let words = "";
  const listen = (chunk: Buffer) => {
    words = `${words}${chunk.toString()}`.slice(-2_000);
  };
  child.stdout?.on("data", listen);
  child.stderr?.on("data", listen);
  let over = false;
  void ended(child).then(() => {
    over = true;
  });
  child.once("error", (error) => {
    over = true;
    words += error.message;
  });
  if (await untilPing(port, START_TIMEOUT_MS, () => over)) return child;
  await endProcess(child, 0);
  throw new Error(`${binary.label} did not start: ${words.trim()}`);
}

export interface PrivateServer {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** A private Redis of this process: on a free port, without persistence; its folder goes when this process exits. */
export async function startRedisProcess(binary: RedisBinary): Promise<PrivateServer> {
  const folder = await mkdtemp(join(tmpdir(), "roomcast-redis-"));
  const clean = () => rmSync(folder, { recursive: true, force: true });
  process.once("exit", clean);
  const port = await freePort();
  const child = await spawnRedis(binary, port, folder, ["--save", "", "--appendonly", "no", ...REDIS_SETTINGS]);
  const stop = async () => {
    await endProcess(child, STOP_GRACE_MS);
    process.off("exit", clean);
    clean();
  };
  return { url: `redis://127.0.0.1:${port}`, pid: child.pid ?? 0, stop };
}
