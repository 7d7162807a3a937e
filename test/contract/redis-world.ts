import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { decode } from "../../src/log/envelope.ts";
import { RedisLog } from "../../src/log/redis-log.ts";
import { RedisBans } from "../../src/moderation/redis-bans.ts";
import { RedisDirectory } from "../../src/presence/redis-directory.ts";
import { RedisPresence } from "../../src/presence/redis-presence.ts";
import { type ConnectionRole, connectRedis, retryPause } from "../../src/redis/connection.ts";
import { Keys } from "../../src/redis/keys.ts";
import { redisUrl } from "../support/run-redis.ts";
import { stopsWithTest } from "../support/teardown.ts";
import type { Ear, World } from "./world.ts";

export interface RedisWorld extends World {
  readonly log: RedisLog;
  readonly presence: RedisPresence;
  readonly keys: Keys;
  readonly prefix: string;
  /** The connection of appends and joins. */
  readonly commands: Redis;
  /** A connection of the test's own. */
  readonly redis: Redis;
  /** Why Redis refused to look at several rooms at once. */
  readonly lookRefusals: readonly unknown[];
}

interface RedisWorldOptions {
  readonly dedupeMs?: number;
  readonly url?: string;
  readonly prefix?: string;
  readonly incarnation?: string;
}

/** A connection with the product's settings, ready, for as long as the test runs. */
export async function connected(role: ConnectionRole, url = redisUrl()): Promise<Redis> {
  const redis = connectRedis(url, { role, name: `test-${role}`, pause: retryPause(), report: () => undefined });
  stopsWithTest(() => redis.disconnect());
  if (redis.status !== "ready") await new Promise((resolve) => redis.once("ready", resolve));
  return redis;
}

/** A node's log and presence under a prefix of the test's own. */
export async function redisWorld(options: RedisWorldOptions = {}): Promise<RedisWorld> {
  const { dedupeMs = 600_000, url = redisUrl(), incarnation = "life-1" } = options;
  const prefix = options.prefix ?? `t${randomUUID().slice(0, 8)}`;
  const [commands, reads, subscriber, redis] = await Promise.all([
    connected("commands", url),
    connected("reads", url),
    connected("subscriber", url),
    connected("commands", url),
  ]);
  const keys = new Keys(prefix);
  const ears = new Map<string, Ear>();
  subscriber.on("smessageBuffer", (channel: Buffer, message: Buffer) => {
    const heard = decode(message);
    const ear = ears.get(channel.toString());
    if (heard.kind === "stock") throw new Error(`not in our format: ${message}`);
    if (heard.kind === "entry") ear?.entries.push(heard.entry);
    else ear?.changes.push(heard.change);
  });
  const lookRefusals: unknown[] = [];
  return {
    log: new RedisLog({ commands, reads, keys, dedupeMs, lookRefused: (error) => lookRefusals.push(error) }),
    presence: new RedisPresence({ commands, reads, keys, dedupeMs, incarnation: { current: incarnation } }),
    bans: new RedisBans({ commands, reads, keys }),
    directory: new RedisDirectory({ commands, reads, keys }),
    keys,
    prefix,
    commands,
    redis,
    lookRefusals,
    hear: async (room) => {
      const ear: Ear = { entries: [], changes: [] };
      ears.set(keys.channel(room), ear);
      await subscriber.ssubscribe(keys.channel(room));
      return ear;
    },
  };
}
