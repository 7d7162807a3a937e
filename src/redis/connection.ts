import type { SecureContextOptions } from "node:tls";
import { Redis, type RedisOptions } from "ioredis";

/** A request's whole deadline is 2 s: a connection on which nothing was answered for so long is given up. */
const SILENCE_MS = 2_000;
/** A queue's workers wait for up to 10 s in one command. */
const QUEUE_SILENCE_MS = 15_000;
const CONNECT_TIMEOUT_MS = 2_000;
const KEEP_ALIVE_MS = 5_000;
const RETRY_MS = { first: 50, most: 1_000 };
/** How often a Redis that still loads its data is asked whether it is done. */
const LOADING_RETRY_MS = 250;

/** When a queue's connections leave a replica, in milliseconds. */
const LEAVES_REPLICA_MS = { every: 5_000, for: 1_000 };

/** Whether the error is what a replica answers to whoever writes. */
export function isReplica(message: string): boolean {
  return /^READONLY\b/.test(message);
}

/** What a connection is for. Reads have one of their own, so that a long page never stands before a send. */
export type ConnectionRole = "commands" | "reads" | "subscriber" | "webhooks";

/** The first failure of an outage, and its end. */
export type Outage =
  | { readonly kind: "lost"; readonly role: ConnectionRole; readonly error: Error }
  | { readonly kind: "back"; readonly role: ConnectionRole; readonly afterMs: number };

export interface ConnectionOptions {
  readonly role: ConnectionRole;
  /** Shown by `CLIENT LIST`; no white space. */
  readonly name: string;
  /** The same for all connections of a node. */
  readonly pause: RetryPause;
  /** For `rediss://`: certificates beside the system's, and this client's own. */
  readonly tls?: Pick<SecureContextOptions, "ca" | "cert" | "key"> | undefined;
  /** Called twice an outage, however many errors there are in it. */
  readonly report: (outage: Outage) => void;
}

/** How long a connection waits before its next try, in milliseconds. `tries` counts from 1. */
export type RetryPause = (tries: number) => number;

/**
 * Waits longer from try to try, never the same on two nodes. Connections that share it try in the same moment, so that what
 * needs several of them does not wait for the last one's pause.
 */
export function retryPause(): RetryPause {
  let nextAt = 0;
  return (tries) => {
    const now = performance.now();
    const most = Math.min(RETRY_MS.first * 2 ** Math.min(tries - 1, 10), RETRY_MS.most);
    const isNearEnough = nextAt > now && nextAt <= now + most;
    if (!isNearEnough) nextAt = now + most * (0.5 + Math.random() / 2);
    return Math.ceil(nextAt - now);
  };
}

/**
 * Nothing waits here: no command is queued while there is no connection, none is sent again after it was lost. Both
 * would be carried out long after the request that wanted them was answered `unavailable`. Automatic pipelining stays
 * off because it keeps one pipeline in flight; `ScriptRunner` joins the writes of a turn itself.
 */
function commandOptions(): RedisOptions {
  return { maxRetriesPerRequest: 0, autoResendUnfulfilledCommands: false, socketTimeout: SILENCE_MS };
}

/**
 * Nobody waits for a queue: what it does, it does once Redis is back. Its workers wait for work on connections of their own, made after
 * this one: nobody else could make them leave a Redis that was demoted. In one second of five, for they try again at once.
 */
function queueOptions(): RedisOptions {
  return {
    ...{ maxRetriesPerRequest: null, enableOfflineQueue: true, socketTimeout: QUEUE_SILENCE_MS },
    reconnectOnError: ({ message }) =>
      isReplica(message) && Date.now() % LEAVES_REPLICA_MS.every < LEAVES_REPLICA_MS.for,
  };
}

/** `RedisChannels` subscribes anew by itself, and may be silent for long. */
function subscriberOptions(): RedisOptions {
  return { maxRetriesPerRequest: null, autoResubscribe: false };
}

function optionsOf(role: ConnectionRole): RedisOptions {
  if (role === "subscriber") return subscriberOptions();
  return role === "webhooks" ? queueOptions() : commandOptions();
}

/**
 * Opens a connection to one server, `redis://` or `rediss://`, and keeps it open: it reconnects until `disconnect()`.
 * The URL's query is ignored, since ioredis would take it for options that win over these.
 */
export function connectRedis(url: string, { role, name, pause, tls, report }: ConnectionOptions): Redis {
  const address = new URL(url);
  address.search = "";
  const redis = new Redis(address.href, {
    enableAutoPipelining: false,
    enableOfflineQueue: false,
    ...optionsOf(role),
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxLoadingRetryTime: LOADING_RETRY_MS,
    keepAlive: KEEP_ALIVE_MS,
    retryStrategy: pause,
    connectionName: name,
    // One right less that a node's user in Redis must have.
    disableClientInfo: true,
    ...(tls !== undefined && { tls }),
  });
  reportOutages(redis, role, report);
  return redis;
}

function reportOutages(redis: Redis, role: ConnectionRole, report: (outage: Outage) => void): void {
  let lostAt: number | undefined;
  const lost = (error: Error) => {
    if (lostAt !== undefined) return;
    lostAt = performance.now();
    report({ kind: "lost", role, error });
  };
  redis.on("error", lost);
  redis.on("reconnecting", () => lost(new Error("Redis closed the connection")));
  redis.on("ready", () => {
    if (lostAt === undefined) return;
    const afterMs = Math.round(performance.now() - lostAt);
    lostAt = undefined;
    report({ kind: "back", role, afterMs });
  });
}
