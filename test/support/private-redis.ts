import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../src/local/ports.ts";
import { findRedisBinary, type RedisBinary } from "../../src/local/redis-binary.ts";
import { engineAnswers, imageIsHere, redisImage, serverIn } from "../../src/local/redis-container.ts";
import { REDIS_SETTINGS, spawnRedis, untilPing } from "../../src/local/redis-process.ts";
import { ask } from "../../src/local/run-command.ts";
import { ended } from "../../src/local/tied-process.ts";
import { RUN_LABEL, runId } from "./run-id.ts";
import { NO_REDIS } from "./run-redis.ts";
import { stopsWithTest } from "./teardown.ts";

const START_WITHIN_MS = 20_000;
const COMMAND_TIMEOUT_MS = 20_000;

/** A real Redis of one test's own, which the test may end, hang and start again at the same address. */
export interface PrivateRedis {
  readonly url: string;
  readonly port: number;
  /** `kill -9`. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, with the files it left (`aof`), and waits until it answers. */
  start(): Promise<void>;
  /** After `kill`: takes the files that it left, so that it starts empty. */
  forget(): Promise<void>;
  /** Stops it in its tracks (SIGSTOP): connections stay open, nothing is answered. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  stop(): Promise<void>;
}

interface PrivateRedisOptions {
  /** Keep an append-only file, written through at every command, so that a killed server comes back with its data. */
  readonly aof?: boolean;
  /** More settings, as on redis-server's command line: `["--maxmemory", "10mb"]`. */
  readonly settings?: readonly string[];
}

const silent = () => undefined;

function persistence(aof: boolean): string[] {
  return aof ? ["--appendonly", "yes", "--appendfsync", "always"] : ["--appendonly", "no"];
}

async function ofBinary(binary: RedisBinary, port: number, settings: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), "roomcast-test-redis-"));
  let child: ChildProcess | undefined;
  const signal = async (name: NodeJS.Signals) => {
    child?.kill(name);
  };
  const kill = async () => {
    await signal("SIGKILL");
    if (child !== undefined) await ended(child);
  };
  return {
    start: async () => {
      child = await spawnRedis(binary, port, folder, settings);
    },
    kill,
    forget: async () => {
      for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true, force: true });
    },
    pause: () => signal("SIGSTOP"),
    resume: () => signal("SIGCONT"),
    stop: async () => {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function ofContainer(port: number, settings: readonly string[]) {
  const image = redisImage();
  const name = `roomcast-test-${randomUUID().slice(0, 12)}`;
  let made = false;
  const docker = async (...args: string[]) => {
    if ((await ask("docker", args, { timeoutMs: COMMAND_TIMEOUT_MS })) === undefined) {
      throw new Error(`docker ${args.join(" ")} failed`);
    }
  };
  return {
    start: async () => {
      const label = `${RUN_LABEL}=${runId()}`;
      const create = [
        "run",
        "-d",
        "--name",
        name,
        "--label",
        label,
        "-p",
        `127.0.0.1:${port}:6379`,
        image,
        serverIn(image),
      ];
      await (made ? docker("start", name) : docker(...create, "--protected-mode", "no", ...settings));
      made = true;
      if (!(await untilPing(port, START_WITHIN_MS, () => false))) throw new Error(`${name} does not answer`);
    },
    kill: () => docker("kill", name),
    forget: async () => {
      await docker("rm", "-f", "-v", name);
      made = false;
    },
    pause: () => docker("pause", name),
    resume: () => docker("unpause", name),
    stop: async () => {
      await ask("docker", ["rm", "-f", "-v", name], { timeoutMs: COMMAND_TIMEOUT_MS });
    },
  };
}

async function binaryOrNone(port: number, settings: readonly string[]) {
  if (process.env.TEST_PRIVATE_REDIS === "container") return undefined;
  const binary = await findRedisBinary(silent);
  if (binary !== undefined) return await ofBinary(binary, port, settings);
  if ((await engineAnswers()) && (await imageIsHere(redisImage(), silent))) return undefined;
  throw new Error(NO_REDIS);
}

/**
 * Starts a Redis of the test's own: in a container where test/support/provision.ts says so, else a server program. Stops
 * with the test that called it.
 */
export async function startRedis({ aof = false, settings = [] }: PrivateRedisOptions = {}): Promise<PrivateRedis> {
  const port = await freePort();
  const all = ["--save", "", ...persistence(aof), ...REDIS_SETTINGS, ...settings];
  const server = (await binaryOrNone(port, all)) ?? ofContainer(port, all);
  stopsWithTest(server.stop);
  await server.start();
  return { url: `redis://127.0.0.1:${port}`, port, ...server };
}
