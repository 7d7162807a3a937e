import { randomUUID } from "node:crypto";
import { type NodeProcess, startNode } from "../../src/local/node-process.ts";
import { freePort } from "../../src/local/ports.ts";
import { redisUrl } from "./run-redis.ts";
import { stopsWithTest } from "./teardown.ts";
import { API_KEY, JWT_SECRET } from "./token.ts";

const READY_WITHIN_MS = 20_000;
const STOP_GRACE_MS = 5_000;
const KEPT_LOG_LINES = 200;

/** Real `node dist/main.js` processes on one Redis, in a world (key prefix) of their own. */
export interface TestCluster {
  /** Public addresses, by node; they stay the same across restarts. */
  readonly urls: readonly string[];
  readonly adminUrls: readonly string[];
  /** The `REDIS_PREFIX` of these nodes. */
  readonly prefix: string;
  /** The process that is node `i` now. */
  node(i: number): NodeProcess;
  /** Sends a signal to node `i`; after `SIGKILL` resolves once it is gone. */
  kill(i: number, signal?: NodeJS.Signals): Promise<void>;
  /** Ends node `i` if it still runs (`SIGTERM`, drained), starts it again at the same address, waits until it is ready. */
  restart(i: number): Promise<void>;
  /** The last lines that node `i` logged, over all its lives. */
  logs(i: number): readonly string[];
  stop(): Promise<void>;
}

interface ClusterOptions {
  readonly nodes?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** What one node has on top of that. */
  readonly envOf?: (node: number) => Readonly<Record<string, string>>;
  /** What the nodes run, where it is not dist/main.js. */
  readonly script?: string;
  /** Whether to wait for every `/readyz`. */
  readonly untilReady?: boolean;
}

/** Starts a cluster. Stops with the test that called it. */
export async function startCluster({
  nodes = 3,
  env = {},
  envOf = () => ({}),
  script,
  untilReady = true,
}: ClusterOptions = {}): Promise<TestCluster> {
  const prefix = `t${randomUUID().slice(0, 8)}`;
  const shared = {
    REDIS_URL: env.REDIS_URL ?? redisUrl(),
    REDIS_PREFIX: prefix,
    JWT_SECRET,
    API_KEYS: API_KEY,
    // Tests stop many nodes: the default would take half a minute each time.
    DRAIN_SECONDS: "1",
    ...env,
  };
  const ports: { port: number; adminPort: number }[] = [];
  for (let i = 0; i < nodes; i++) ports.push({ port: await freePort(), adminPort: await freePort() });
  const lines: string[][] = ports.map(() => []);
  const processes: NodeProcess[] = [];

  const start = async (i: number) => {
    const place = ports[i];
    const log = lines[i];
    if (place === undefined || log === undefined) throw new Error(`there is no node ${i}`);
    const onLine = (line: string) => {
      log.push(line);
      if (log.length > KEPT_LOG_LINES) log.shift();
    };
    const own = { ...shared, ...envOf(i) };
    const options = { env: own, onLine, deathSignal: "SIGKILL", ...(script && { script }) } as const;
    const node = startNode({ name: `node-${i + 1}`, ...place, ...options });
    processes[i] = node;
    if (!untilReady) return;
    if (await node.untilReady(READY_WITHIN_MS)) return;
    const state = node.isAlive() ? "is not ready" : `ended (${await node.ended})`;
    throw new Error(`${node.name} ${state}:\n${log.slice(-20).join("\n")}`);
  };
  const node = (i: number) => {
    const found = processes[i];
    if (found === undefined) throw new Error(`there is no node ${i}`);
    return found;
  };
  const stop = async () => {
    await Promise.all(processes.map((running) => running.stop(STOP_GRACE_MS)));
  };
  stopsWithTest(stop);
  try {
    await Promise.all(ports.map((_, i) => start(i)));
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    urls: ports.map(({ port }) => `http://127.0.0.1:${port}`),
    adminUrls: ports.map(({ adminPort }) => `http://127.0.0.1:${adminPort}`),
    prefix,
    node,
    async kill(i, signal = "SIGKILL") {
      node(i).kill(signal);
      if (signal === "SIGKILL") await node(i).ended;
    },
    async restart(i) {
      await node(i).stop(READY_WITHIN_MS);
      await start(i);
    },
    logs: (i) => lines[i] ?? [],
    stop,
  };
}
