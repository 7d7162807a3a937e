import { Redis } from "ioredis";
import { redisUrl } from "./run-redis.ts";
import { stopsWithTest } from "./teardown.ts";

const SCAN_COUNT = 1_000;

/** A connection of the test's own to a Redis, the run's by default. Closed when the test ends. */
export function rawRedis(url = redisUrl()): Redis {
  const redis = new Redis(url);
  // A test that ends its Redis sees this connection break, and come back by itself.
  redis.on("error", () => undefined);
  stopsWithTest(() => redis.disconnect());
  return redis;
}

/** Every key whose name has `part` in it, sorted. */
export async function keysWith(redis: Redis, part: string): Promise<string[]> {
  const keys = new Set<string>();
  let cursor = "0";
  do {
    const [next, found] = await redis.scan(cursor, "MATCH", `*${part}*`, "COUNT", SCAN_COUNT);
    for (const key of found) keys.add(key);
    cursor = next;
  } while (cursor !== "0");
  return [...keys].sort();
}

/** Every key of a room of a cluster, sorted. What nodes keep of themselves, and their canary messages, come and go by themselves. */
export async function keysOfRooms(redis: Redis, prefix: string): Promise<string[]> {
  const keys = (await keysWith(redis, prefix)).filter((key) => key.startsWith(`{${prefix}#/#`));
  return keys.filter((key) => !key.startsWith(`{${prefix}#/#_canary#}:`));
}

/** The sharded channels that begin with `prefix` and have a subscriber now, sorted. */
export async function channelsUnder(redis: Redis, prefix: string): Promise<string[]> {
  return ((await redis.call("PUBSUB", "SHARDCHANNELS", `${prefix}*`)) as string[]).sort();
}

/**
 * What is published to these sharded channels from now on. Not by MONITOR: where its OK and the first line come in one
 * chunk, ioredis takes the line for an answer and throws.
 */
export async function publishedOn(channels: readonly string[]): Promise<readonly string[]> {
  const published: string[] = [];
  const redis = rawRedis();
  redis.on("smessage", (_channel: string, message: string) => published.push(message));
  await redis.ssubscribe(...channels);
  return published;
}

/** How many connections are subscribed to a sharded channel now: one for each node that wants it. */
export async function subscribersOf(redis: Redis, channel: string): Promise<number> {
  const [, count] = (await redis.call("PUBSUB", "SHARDNUMSUB", channel)) as [string, number];
  return count;
}
