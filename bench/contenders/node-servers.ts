import { join } from "node:path";
import { freePort } from "../../src/local/ports.ts";
import { findRedisBinary, type RedisBinary } from "../../src/local/redis-binary.ts";
import { startRedisProcess } from "../../src/local/redis-process.ts";
import type { Running, StartOptions } from "./contender.ts";
import type { ServerProcess } from "./server-process.ts";

const PROBE = join(import.meta.dirname, "probe.ts");
const say = (line: string) => process.stderr.write(`${line}\n`);

/** The server program of every Redis in the benchmarks: the CPU time of one in a container could not be told. */
export async function redisBinary(): Promise<RedisBinary> {
  const binary = await findRedisBinary(say);
  if (binary === undefined)
    throw new Error("the benchmarks need redis-server or valkey-server 7 or newer as a program");
  return binary;
}

/** Starts one server on this port of loopback, with this environment on top. */
export type StartNode = (port: number, env: Readonly<Record<string, string>>, index: number) => Promise<ServerProcess>;

async function probing(options: StartOptions): Promise<{ env: Record<string, string>; ports: number[] }> {
  if (options.probed !== true) return { env: {}, ports: [] };
  const port = await freePort();
  return { env: { NODE_OPTIONS: `--import=${PROBE}`, BENCH_PROBE_PORT: String(port) }, ports: [port] };
}

/** Starts Node.js servers, one after the other, with a Redis of their own if they use one. */
export async function startNodes(options: StartOptions, withRedis: boolean, start: StartNode): Promise<Running> {
  const redis = withRedis ? await startRedisProcess(await redisBinary()) : undefined;
  const servers: ServerProcess[] = [];
  const [ports, probePorts]: [number[], number[]] = [[], []];
  const stop = async () => {
    await Promise.all(servers.map((server) => server.stop()));
    await redis?.stop();
  };
  try {
    for (let index = 0; index < options.nodes; index++) {
      const port = await freePort();
      const probe = await probing(options);
      const url = redis && ((await options.redisUrlOf?.(redis.url, index)) ?? redis.url);
      servers.push(await start(port, { ...probe.env, ...(url !== undefined && { REDIS_URL: url }) }, index));
      ports.push(port);
      probePorts.push(...probe.ports);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const serverPids = servers.map(({ pid }) => pid);
  return { ports, serverPids, pids: redis ? [...serverPids, redis.pid] : serverPids, probePorts, stop };
}
