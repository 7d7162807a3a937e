import { setTimeout as delay } from "node:timers/promises";
import { createShardedAdapter } from "@socket.io/redis-adapter";
import type { Redis } from "ioredis";
import type { Registry } from "prom-client";
import type { Namespace } from "socket.io";
import { RedisChannels } from "./adapter/redis-channels.ts";
import { adapterPublisher } from "./adapter/redis-publisher.ts";
import type { Config } from "./config/config.ts";
import { RoomcastError } from "./errors.ts";
import type { Intervals } from "./intervals.ts";
import { NO_OUTBOX } from "./log/event-outbox.ts";
import { RedisLog } from "./log/redis-log.ts";
import { RedisBans } from "./moderation/redis-bans.ts";
import { Incarnation } from "./nodes/incarnation.ts";
import { Life } from "./nodes/life.ts";
import { Pulse } from "./nodes/pulse.ts";
import { RedisLeases } from "./nodes/redis-leases.ts";
import { RedisNodeList } from "./nodes/redis-node-list.ts";
import { RedisDirectory } from "./presence/redis-directory.ts";
import { RedisPresence } from "./presence/redis-presence.ts";
import { type ConnectionRole, connectRedis, isReplica, type Outage, retryPause } from "./redis/connection.ts";
import { Keys } from "./redis/keys.ts";
import { MemoryGauge } from "./redis/memory-gauge.ts";
import { requireServerVersion } from "./redis/server-version.ts";
import { TurnWrites } from "./redis/turn-writes.ts";
import type { Store, StoreCounts, StoreEvents } from "./store.ts";
import type { Logger } from "./telemetry/log.ts";
import { WebhookMetrics } from "./telemetry/webhook-metrics.ts";
import { Webhooks, type WebhooksOptions } from "./webhooks/webhooks.ts";

/** How long to wait for Redis at the start before looking again, in milliseconds. */
const START_RETRY_MS = 250;

/** Longer than any pause between two beats; a node that is gone leaves nothing behind. In milliseconds. */
const BEAT_LIFE_MS = 60_000;

type RedisServer = Extract<Config["redis"], { kind: "server" }>;

/** Everything in Redis, by three connections, and more for the queues of webhooks. */
export function redisStore(
  config: Config,
  { url, tls }: RedisServer,
  log: Logger,
  intervals: Intervals,
  counts: StoreCounts & { readonly registry: Registry },
): Store {
  const shared = { pause: retryPause(), tls, report: reportOutage(log, counts) };
  const connect = (role: ConnectionRole) =>
    connectRedis(url, { role, name: `${config.redisPrefix}-${role}`, ...shared });
  const commands = connect("commands");
  const reads = connect("reads");
  const subscriber = connect("subscriber");
  const keys = new Keys(config.redisPrefix);
  const dedupeMs = config.dedupeSeconds * 1_000;
  // A server that is too old knows no such subscriptions; the start ends with one sentence, and that is not it.
  let verified = false;
  const channels = new RedisChannels(subscriber, keys, (error) => {
    if (verified) log.error({ err: error }, "a subscription failed");
  });
  const incarnation = new Incarnation();
  const queues = config.webhooks.length > 0 ? connect("webhooks") : undefined;
  const connections: Partial<Record<ConnectionRole, Redis>> = {
    commands,
    reads,
    subscriber,
    ...(queues && { webhooks: queues }),
  };
  const webhooks = queues && webhooksOf(config, log, { commands, queues, keys, incarnation }, counts.registry);
  const outbox = webhooks?.outbox ?? NO_OUTBOX;
  const presence = new RedisPresence({ commands, reads, keys, incarnation, dedupeMs, outbox });
  const directory = new RedisDirectory({ commands, reads, keys });
  const nodes = new RedisNodeList({ commands, reads, keys });
  const pulseChannel = keys.pulse(incarnation.current);
  const beatKey = keys.beat(incarnation.current);
  let events: StoreEvents | undefined;
  let connectionsMoved: Promise<void> | undefined;
  const leaseMs = config.limits.leaseSeconds * 1_000;
  const leases = new RedisLeases(commands, keys, leaseMs, { nodes, load: () => events?.load() });
  const life = new Life({
    intervals,
    leases,
    incarnation,
    leaseMs,
    sweep: async (gone) => {
      log.warn({ incarnation: gone }, "a node is gone: taking its members out");
      await presence.sweepNode(gone, {
        swept: (rooms) => directory.review(rooms),
        failed: (room, error) =>
          log.error({ room, err: error }, "the members of a node that is gone could not be taken out"),
      });
      counts.nodeSwept();
    },
    renewed: (because, keptUntil) => {
      const announced = because === "claimed";
      if (because === "moved") {
        log.warn("Redis is another server, or was started again: putting the members back");
        counts.redisMoved();
      } else {
        log.warn({ announced }, "the lease was lost: putting the members back");
        counts.leaseLost();
      }
      events?.renewed(because, keptUntil);
      connectionsMoved = webhooks?.renewed(announced);
    },
    putBack: async () => {
      await events?.putBack();
      // What cannot be done for one connection must not keep members from being put back the next time.
      await Promise.race([connectionsMoved, delay(2 * leaseMs, undefined, { ref: false })]);
    },
    failed: (where, error) => {
      // An outage is told by its own line; anything else lasts until somebody looks.
      if (error instanceof RoomcastError) log.debug({ err: error }, where);
      else log.error({ err: error }, where);
    },
  });
  // Before others' graces run out: what they give up may be all that is left of a user whom this node is to put back.
  commands.on("ready", () => life.renewNow());
  const leaveTogether = () => {
    if (commands.status === "ready") TurnWrites.of(commands).join();
  };
  const pulse = new Pulse({
    intervals,
    publish: async (beat) => {
      leaveTogether();
      await commands.spublish(pulseChannel, beat);
    },
    write: async (beat) => {
      leaveTogether();
      await commands.set(beatKey, beat, "PX", BEAT_LIFE_MS);
    },
    resubscribe: () => {
      log.warn("nothing comes back from Redis: subscribing anew");
      counts.resubscribed();
      subscriber.disconnect(true);
    },
    roundTrip: (seconds) => counts.roundTrip(seconds),
    stalled: (since) => events?.stalled(since),
    restored: () => events?.restored(),
    refused: (reason) => log.warn({ reason }, "Redis takes no writes"),
    accepted: () => log.info("Redis takes writes again"),
    lookAgain: (reason) => {
      // It keeps our connections when it is demoted, and passes on what is published: nothing else would make us leave it.
      if (isReplica(reason)) for (const redis of Object.values(connections)) redis.disconnect(true);
    },
  });
  const memory = new MemoryGauge(reads, intervals);
  return {
    log: new RedisLog({
      commands,
      reads,
      keys,
      dedupeMs,
      outbox,
      lookRefused: (error) => log.warn({ err: error }, "Redis refuses to look at many rooms at once: each is compared"),
    }),
    presence,
    bans: new RedisBans({ commands, reads, keys }),
    index: presence,
    directory,
    nodes,
    channels,
    pulse,
    webhooks,
    health: {
      get subscriptions() {
        return channels.size;
      },
      get leaseHeldMs() {
        return life.heldMs;
      },
      get membersSwept() {
        return presence.swept;
      },
      get memory() {
        return memory.latest;
      },
      connected: (role) => {
        const status = connections[role]?.status;
        return status && status === "ready";
      },
    },
    serve: (io, told) => {
      events = told;
      io.adapter(shardedAdapter(commands, channels, config.redisPrefix));
    },
    ready: async () => {
      await untilDone(() => requireServerVersion(commands));
      verified = true;
      await untilDone(() => channels.hearRaw(pulseChannel, (beat) => pulse.heard(beat.toString())));
      await untilDone(() => life.begin());
      memory.ask();
      webhooks?.start();
    },
    endStoppedGrace: async (of) => {
      for (const stopped of await leases.released()) await presence.endGrace(stopped, of);
    },
    handOver: async (graceMs) => {
      await life.end(graceMs);
      await pulse.caughtUp();
    },
    close: async () => {
      pulse.stop();
      memory.stop();
      life.stop();
      await webhooks?.stop();
      for (const redis of Object.values(connections)) redis.disconnect();
    },
  };
}

type WebhookParts = Pick<WebhooksOptions, "commands" | "queues" | "keys" | "incarnation">;

function webhooksOf({ webhooks: endpoints }: Config, log: Logger, parts: WebhookParts, registry: Registry): Webhooks {
  const names = endpoints.map(({ name }) => name);
  return new Webhooks({
    ...parts,
    endpoints,
    counts: new WebhookMetrics(registry, names),
    endpointLost: (endpoint, error) => log.warn({ endpoint, err: error }, "an endpoint takes no webhooks"),
    endpointBack: (endpoint) => log.info({ endpoint }, "an endpoint takes webhooks again"),
    eventsDropped: (endpoint, events) => log.error({ endpoint, events }, "webhook events were dropped"),
    failed: (where, error) => log.warn({ err: error }, where),
  });
}

/** The stock sharded adapter, on the channels that the feeds use too. Socket.IO calls it with `new`: no arrow function. */
function shardedAdapter(commands: Redis, channels: RedisChannels, channelPrefix: string) {
  const create = createShardedAdapter(adapterPublisher(commands), channels.adapterSubscriber(), {
    channelPrefix,
    subscriptionMode: "dynamic",
  });
  return function ShardedAdapter(namespace: Namespace) {
    return create(namespace);
  };
}

/** Tries again for as long as Redis is away: one of its connections may come before another, and be lost again meanwhile. */
async function untilDone(step: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await step();
      return;
    } catch (error) {
      if (!(error instanceof RoomcastError)) throw error;
      await delay(START_RETRY_MS);
    }
  }
}

function reportOutage(log: Logger, counts: StoreCounts): (outage: Outage) => void {
  return (outage) => {
    const { role } = outage;
    if (outage.kind === "lost") {
      log.warn({ role, err: outage.error }, "Redis is away");
    } else {
      counts.reconnected(role);
      log.info({ role, afterMs: outage.afterMs }, "Redis is back");
    }
  };
}
