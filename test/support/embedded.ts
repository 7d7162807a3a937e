import { randomUUID } from "node:crypto";
import { PassThrough } from "node:stream";
import { createLogger, createNode, type NodeOptions, parseConfig, type RoomcastNode } from "../../src/index.ts";
import { type Api, apiOf } from "./api.ts";
import { redisUrl } from "./run-redis.ts";
import { stopsWithTest } from "./teardown.ts";
import { API_KEY, JWT_SECRET } from "./token.ts";

/** A node inside this process, in a world (key prefix) of its own unless told otherwise. */
export interface Embedded {
  readonly node: RoomcastNode;
  readonly prefix: string;
  /** The lines that it logged, as JSON. */
  readonly logged: () => string;
}

type EmbeddedOptions = Omit<NodeOptions, "config" | "log"> & {
  readonly prefix?: string;
  readonly env?: Readonly<Record<string, string>>;
};

/** Makes a node; `start` it, and it stops with the test. */
export function embed({ prefix = `t${randomUUID().slice(0, 8)}`, env, ...options }: EmbeddedOptions = {}): Embedded {
  const config = parseConfig({
    PORT: "0",
    ADMIN_PORT: "0",
    REDIS_URL: redisUrl(),
    REDIS_PREFIX: prefix,
    JWT_SECRET,
    API_KEYS: API_KEY,
    DRAIN_SECONDS: "0",
    GRACE_SECONDS: "0",
    ...env,
  });
  const lines: string[] = [];
  const out = new PassThrough().on("data", (line: Buffer) => lines.push(line.toString()));
  const node = createNode({ ...options, config, log: createLogger("info", "embedded", out) });
  stopsWithTest(() => node.stop());
  return { node, prefix, logged: () => lines.join("") };
}

/** The same, started; `url` is its public address. */
export async function startEmbedded(options: EmbeddedOptions = {}): Promise<Embedded & { url: string; api: Api }> {
  const embedded = embed(options);
  const { port } = await embedded.node.start();
  const url = `http://127.0.0.1:${port}`;
  return { ...embedded, url, api: apiOf(url) };
}
