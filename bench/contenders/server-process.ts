import type { ChildProcess } from "node:child_process";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { ended, endProcess, spawnTied } from "../../src/local/tied-process.ts";

const START_WITHIN_MS = 15_000;
const INTERVAL_MS = 30;
const STOP_GRACE_MS = 2_000;
const WORDS = 2_000;

interface ServerOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

export interface ServerProcess {
  readonly pid: number;
  stop(): Promise<void>;
}

async function accepts(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

async function untilAccepts(child: ChildProcess, port: number): Promise<boolean> {
  let over = false;
  void ended(child).then(() => {
    over = true;
  });
  const deadline = Date.now() + START_WITHIN_MS;
  while (!over && Date.now() < deadline) {
    if (await accepts(port)) return true;
    await delay(INTERVAL_MS);
  }
  return false;
}

/** Starts a server program and waits until the port of it answers. Rejects with its own last words. */
export async function startServer(
  command: string,
  args: readonly string[],
  port: number,
  options: ServerOptions,
): Promise<ServerProcess> {
  const child = spawnTied(command, args, { stdio: ["ignore", "pipe", "pipe"], deathSignal: "SIGKILL", ...options });
  let words = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      words = `${words}${chunk.toString()}`.slice(-WORDS);
    });
  }
  child.once("error", (error) => {
    words += error.message;
  });
  if (!(await untilAccepts(child, port)) || child.pid === undefined) {
    await endProcess(child, 0);
    throw new Error(`${command} ${args.join(" ")} did not start: ${words.trim()}`);
  }
  return { pid: child.pid, stop: () => endProcess(child, STOP_GRACE_MS) };
}
