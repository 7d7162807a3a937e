import { Redis } from "ioredis";
import type { Started } from "../src/local/started.ts";
import { startCluster, type TestCluster } from "../test/support/cluster.ts";
import { type PrivateRedis, startRedis } from "../test/support/private-redis.ts";
import { RedisPair } from "../test/support/redis-pair.ts";
import { roomTypesFile } from "../test/support/room-types.ts";
import { startSticky } from "../test/support/sticky.ts";
import type { Scenario } from "./scenarios.ts";
import { type SwallowingProxy, startSwallowingProxy } from "./swallowing-proxy.ts";

/** A drained restart takes about this long. */
const DRAIN_SECONDS = "2";
/** Nothing is trimmed during a run, so that the whole log can be read at its end. */
const KEPT = { maxMessages: 1_000_000, maxBytes: 1024 * 1024 * 1024 };

/** Whoever reads whole logs at the end asks more often than a client may. */
const READ_RATE = { RATE_READ_PER_SECOND: "1000", RATE_READ_BURST: "1000" };

/** Real nodes on a Redis of their own with an append-only file, behind the sticky balancer. */
export interface World {
  /** The one address of all nodes. */
  readonly url: string;
  /** The one that nodes use now. */
  readonly redis: PrivateRedis;
  /** It and the one that may take its place, where the scenario wants that. */
  readonly pair: RedisPair | undefined;
  readonly cluster: TestCluster;
  /** A connection of the kit's own, past all that swallow. */
  readonly control: Redis;
  /** One in front of Redis for each node, where the scenario wants them. */
  readonly proxies: readonly SwallowingProxy[];
  /** Whoever comes through a proxy is led to the primary of the pair. */
  turnToPrimary(): void;
  /** For people: `Redis 8.0.2`. */
  readonly redisVersion: string;
}

interface WorldOptions {
  readonly nodes: number;
  readonly scenario: Scenario;
  /** What nodes run, where it is not dist/main.js. */
  readonly script: string | undefined;
}

/** Starts everything; `started` ends it, also where this rejects half-way. */
export async function startWorld({ nodes, scenario, script }: WorldOptions, started: Started): Promise<World> {
  const pair = scenario.failsOver ? await RedisPair.start() : undefined;
  const redis = pair?.primary ?? (await startRedis({ aof: true }));
  started.add(() => (pair ?? redis).stop());
  const way = await startSwallowingProxy(redis.port);
  started.add(() => way.close());
  const control = new Redis(way.port, "127.0.0.1");
  // It breaks whenever Redis does, and comes back by itself.
  control.on("error", () => undefined);
  started.add(async () => control.disconnect());
  const proxies: SwallowingProxy[] = [];
  for (let node = 0; scenario.proxied && node < nodes; node++) {
    const proxy = await startSwallowingProxy(redis.port);
    started.add(() => proxy.close());
    proxies.push(proxy);
  }
  const types = await roomTypesFile({ chat: { history: KEPT } });
  started.add(types.remove);
  const cluster = await startCluster({
    nodes,
    env: { REDIS_URL: redis.url, ROOM_TYPES: types.path, DRAIN_SECONDS, ...READ_RATE, ...scenario.env },
    envOf: (node): Record<string, string> => {
      const proxy = proxies[node];
      return proxy === undefined ? {} : { REDIS_URL: `redis://127.0.0.1:${proxy.port}` };
    },
    ...(script !== undefined && { script }),
  });
  started.add(async () => {
    // None has anything to hand over, and one that is stopped hears no SIGTERM.
    for (let node = 0; node < nodes; node++) await cluster.kill(node);
    await cluster.stop();
  });
  const sticky = await startSticky(cluster);
  started.add(sticky.stop);
  return {
    ...{ url: sticky.url, cluster, control, proxies, pair, redisVersion: await versionOf(control) },
    get redis() {
      return pair?.primary ?? redis;
    },
    turnToPrimary: () => {
      for (const proxy of [way, ...proxies]) proxy.turnTo(pair?.primary.port ?? redis.port);
    },
  };
}

async function versionOf(control: Redis): Promise<string> {
  const info = await control.info("server");
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\s*$`, "m").exec(info)?.[1];
  const valkey = field("valkey_version");
  return valkey === undefined ? `Redis ${field("redis_version")}` : `Valkey ${valkey}`;
}
