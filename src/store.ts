import { setTimeout as delay } from "node:timers/promises";
import { createShardedAdapter } from "@socket.io/redis-adapter";
import type { Redis } from "ioredis";
import type { Namespace, Server } from "socket.io";
import { RedisChannels } from "./adapter/redis-channels.ts";
import type { Config } from "./config.ts";
import { RoomcastError } from "./errors.ts";
import type { RoomChannels } from "./feed/room-channels.ts";
import { MemoryChannels } from "./log/memory-channels.ts";
import { MemoryLog } from "./log/memory-log.ts";
import { RedisLog } from "./log/redis-log.ts";
import type { RoomLog } from "./log/room-log.ts";
import { Pulse } from "./nodes/pulse.ts";
import { MemoryPresence } from "./presence/memory-presence.ts";
import type { Presence } from "./presence/presence.ts";
import { RedisPresence } from "./presence/redis-presence.ts";
import type { RoomIndex } from "./presence/seats.ts";
import { type ConnectionRole, connectRedis, type Outage } from "./redis/connection.ts";
import { Keys } from "./redis/keys.ts";
import { requireServerVersion } from "./redis/server-version.ts";
import type { Logger } from "./telemetry/log.ts";

/** What a node keeps outside itself, and how it hears of it. */
export interface Store {
  readonly log: RoomLog;
  readonly presence: Presence;
  readonly index: RoomIndex;
  readonly channels: RoomChannels;
  readonly pulse: StorePulse;
  /** Puts the adapter under a Socket.IO server, and tells when the node stops and starts hearing the others. */
  serve(io: Server, events: StoreEvents): void;
  /** Resolves once the store can be used, however long that takes. Rejects where the server is too old. */
  ready(): Promise<void>;
  close(): Promise<void>;
}

export interface StorePulse {
  readonly hearing: boolean;
  /** For how long nothing was heard, in milliseconds. */
  readonly silentMs: number;
}

export interface StoreEvents {
  stalled(since: number): void;
  restored(): void;
}

/** Everything in this process: one node, gone with it. */
export function memoryStore({ dedupeSeconds }: Config): Store {
  const channels = new MemoryChannels();
  const log = new MemoryLog({ channels, dedupeMs: dedupeSeconds * 1_000 });
  const nothing = () => Promise.resolve();
  const presence = new MemoryPresence(log, channels);
  return {
    log,
    presence,
    index: presence,
    channels,
    pulse: { hearing: true, silentMs: 0 },
    serve: () => undefined,
    ready: nothing,
    close: nothing,
  };
}

/** How long to wait for Redis at the start before looking again, in milliseconds. */
const START_RETRY_MS = 250;

/** Everything in Redis, over four kinds of work and three connections. `incarnation`: this life of the process. */
export function redisStore(config: Config, url: string, incarnation: string, log: Logger): Store {
  const connect = (role: ConnectionRole) =>
    connectRedis(url, { role, name: `${config.redisPrefix}-${role}`, report: reportOutage(log) });
  const commands = connect("commands");
  const reads = connect("reads");
  const subscriber = connect("subscriber");
  const keys = new Keys(config.redisPrefix);
  const dedupeMs = config.dedupeSeconds * 1_000;
  const channels = new RedisChannels(subscriber, keys, (error) => log.error({ err: error }, "a subscription failed"));
  const presence = new RedisPresence({ commands, reads, keys, incarnation, dedupeMs });
  const pulseChannel = keys.pulse(incarnation);
  let events: StoreEvents | undefined;
  const pulse = new Pulse({
    publish: async (beat) => {
      await commands.spublish(pulseChannel, beat);
    },
    resubscribe: () => {
      log.warn("nothing comes back from Redis: subscribing anew");
      subscriber.disconnect(true);
    },
    stalled: (since) => events?.stalled(since),
    restored: () => events?.restored(),
  });
  return {
    log: new RedisLog({ commands, reads, keys, dedupeMs }),
    presence,
    index: presence,
    channels,
    pulse,
    serve: (io, told) => {
      events = told;
      io.adapter(shardedAdapter(commands, channels, config.redisPrefix));
    },
    ready: async () => {
      await untilReady(commands);
      await channels.hearRaw(pulseChannel, () => pulse.heard());
    },
    close: async () => {
      pulse.stop();
      for (const redis of [commands, reads, subscriber]) redis.disconnect();
    },
  };
}

/** The stock sharded adapter, on the channels that the feeds use too. Socket.IO calls it with `new`: no arrow function. */
function shardedAdapter(commands: Redis, channels: RedisChannels, channelPrefix: string) {
  const create = createShardedAdapter(commands, channels.adapterSubscriber(), {
    channelPrefix,
    subscriptionMode: "dynamic",
  });
  return function ShardedAdapter(namespace: Namespace) {
    return create(namespace);
  };
}

async function untilReady(commands: Redis): Promise<void> {
  for (;;) {
    try {
      await requireServerVersion(commands);
      return;
    } catch (error) {
      if (!(error instanceof RoomcastError)) throw error;
      await delay(START_RETRY_MS);
    }
  }
}

function reportOutage(log: Logger): (outage: Outage) => void {
  return (outage) => {
    const { role } = outage;
    if (outage.kind === "lost") log.warn({ role, err: outage.error }, "Redis is away");
    else log.info({ role, afterMs: outage.afterMs }, "Redis is back");
  };
}
