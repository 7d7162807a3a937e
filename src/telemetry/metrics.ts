import { collectDefaultMetrics, Registry } from "prom-client";
import type { CallName } from "../calls.ts";
import type { CanaryCounts } from "../canary/canary.ts";
import type { Pair } from "../canary/pairs.ts";
import type { ErrorCode } from "../errors.ts";
import type { FeedCounts, ResyncReason, RoomCount } from "../feed/feed-counts.ts";
import { REQUESTS, type RequestName } from "../protocol.ts";
import type { RecoveryOutcome } from "../room/context.ts";
import {
  DISCONNECT_REASONS,
  METRICS,
  type MetricName,
  RATE_LIMIT_KINDS,
  RECOVERY_OUTCOMES,
  REDIS_ROLES,
  RESYNC_REASONS,
  TRANSPORTS,
} from "./catalogue.ts";
import { counted, expose, type Put, type Sources } from "./exposition.ts";
import { LabelledCounts } from "./labelled-counts.ts";
import { PlainHistogram } from "./plain-histogram.ts";
import { RoomMetrics } from "./room-metrics.ts";

export type RedisRole = (typeof REDIS_ROLES)[number];
export type RateLimit = (typeof RATE_LIMIT_KINDS)[number];

/** What is known by asking when somebody scrapes. */
export interface Gauges {
  /** As `/readyz` says. */
  readonly ready: () => boolean;
  readonly draining: () => boolean;
  readonly connections: () => number;
  /** The name of each connection's transport. */
  readonly transports: () => Iterable<string>;
  readonly feeds: () => number;
  /** Bytes that all connections were sent and have not taken. */
  readonly owed: () => number;
  readonly subscriptions: () => number;
  /** Undefined for a connection that this node does not need. */
  readonly redisConnected: (role: RedisRole) => boolean | undefined;
  /** For how long nothing was heard, and nothing written, in milliseconds. */
  readonly silentMs: () => number;
  readonly unwrittenMs: () => number;
  /** For how long the lease has been held without a break, in milliseconds. */
  readonly leaseHeldMs: () => number;
  readonly membersSwept: () => number;
  /** Undefined where it is not known. */
  readonly redisMemory: () => { readonly usedBytes: number; readonly limitBytes: number | undefined } | undefined;
  /** What this node was to hear of each node's canary messages, and what it heard. */
  readonly canaryPairs: () => Iterable<readonly [string, Readonly<Pair>]>;
  readonly canaryComparedMsAgo: () => number;
}

/**
 * What prom-client makes of Node's own monitor of the event loop. It is woken for each of its samples, which at one every
 * 100 ms was a sixth of what an idle node cost, and what it calls a delay is the time between two of them, the pace with it
 * (docs/performance.md). `roomcast_event_loop_delay_seconds` stands in its place.
 */
const LOOP_MONITOR = ["min", "max", "mean", "stddev", "p50", "p90", "p99"].map(
  (name) => `nodejs_eventloop_lag_${name}_seconds`,
);
/** It cannot be left out: so seldom that it is never woken, in milliseconds. */
const NEVER_MS = 1_000_000_000;

export interface MetricsOptions {
  /** Shown as `roomcast_node_info`. */
  readonly node: string;
  readonly gauges: Gauges;
  /** Most rooms with series of their own. */
  readonly topRooms: number;
  /** Whether a room type has a policy of its own. */
  isConfigured(type: string): boolean;
}

/**
 * Counts what happens. On the hot paths these are additions to plain numbers; prom-client's objects are filled, and
 * labels found, when somebody scrapes. Names and descriptions are in catalogue.ts.
 */
export class Metrics implements FeedCounts, CanaryCounts {
  readonly registry = new Registry();
  #accepted = 0;
  #duplicates = 0;
  #acceptedBytes = 0;
  #signals = 0;
  #signalsDropped = 0;
  #delivered = 0;
  #deliveredBytes = 0;
  #gapsFound = 0;
  #gapsRepaired = 0;
  #slowReaders = 0;
  #resubscribes = 0;
  #leasesLost = 0;
  #redisMoves = 0;
  #nodesSwept = 0;
  #canariesSent = 0;
  #canariesFailed = 0;
  readonly #requests = new LabelledCounts({ request: Object.keys(REQUESTS) });
  readonly #requestsRefused = new LabelledCounts(METRICS.roomcast_requests_refused_total.labels);
  readonly #apiCalls = new LabelledCounts(METRICS.roomcast_api_calls_total.labels);
  readonly #apiCallsRefused = new LabelledCounts(METRICS.roomcast_api_calls_refused_total.labels);
  readonly #connects = new LabelledCounts({ transport: TRANSPORTS });
  readonly #disconnects = new LabelledCounts({ reason: DISCONNECT_REASONS });
  readonly #connectionsRefused = new LabelledCounts(METRICS.roomcast_connections_refused_total.labels);
  readonly #rateLimited = new LabelledCounts({ limit: RATE_LIMIT_KINDS });
  readonly #recoveries = new LabelledCounts({ outcome: RECOVERY_OUTCOMES });
  readonly #resyncs = new LabelledCounts({ reason: RESYNC_REASONS });
  readonly #redisReconnects = new LabelledCounts({ role: REDIS_ROLES });
  readonly #loopDelay = histogram("roomcast_event_loop_delay_seconds");
  readonly #append = histogram("roomcast_append_duration_seconds");
  readonly #join = histogram("roomcast_join_duration_seconds");
  readonly #history = histogram("roomcast_history_duration_seconds");
  readonly #delay = histogram("roomcast_delivery_delay_seconds");
  readonly #perWrite = histogram("roomcast_messages_per_write");
  readonly #roundTrip = histogram("roomcast_pulse_round_trip_seconds");
  readonly #canaryDelay = histogram("roomcast_canary_delay_seconds");
  readonly #rooms: RoomMetrics;

  constructor({ node, gauges, topRooms, isConfigured }: MetricsOptions) {
    this.#rooms = new RoomMetrics(topRooms, isConfigured);
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: NEVER_MS });
    for (const name of LOOP_MONITOR) this.registry.removeSingleMetric(name);
    expose(this.registry, METRICS, this.#sources(node, gauges));
  }

  /** A timer was late by so much. */
  eventLoopDelayed(seconds: number): void {
    this.#loopDelay.observe(seconds);
  }

  roomOpened(room: string): RoomCount {
    return this.#rooms.opened(room);
  }

  /** A message of so many bytes was stored; `seconds` is what that took. */
  messageAccepted(bytes: number, seconds: number, duplicate: boolean): void {
    this.#accepted += 1;
    this.#acceptedBytes += bytes;
    if (duplicate) this.#duplicates += 1;
    this.#append.observe(seconds);
  }

  signalAccepted(): void {
    this.#signals += 1;
  }

  /** A signal was not written to a connection that owes too much. */
  signalDropped(): void {
    this.#signalsDropped += 1;
  }

  written(messages: number, readers: number, bytes: number, ts: number): void {
    this.#delivered += messages * readers;
    this.#deliveredBytes += bytes * readers;
    this.#perWrite.observe(messages, readers);
    this.#delay.observe(Math.max(0, Date.now() - ts) / 1_000, messages * readers);
  }

  caughtUp(bytes: number): void {
    this.#delivered += 1;
    this.#deliveredBytes += bytes;
  }

  gapFound(): void {
    this.#gapsFound += 1;
  }

  gapRepaired(): void {
    this.#gapsRepaired += 1;
  }

  /** A reader's stream ended. */
  resync(reason: ResyncReason): void {
    this.#resyncs.add(reason);
  }

  /** A reader left the live stream, because its connection does not keep up. */
  slowReader(): void {
    this.#slowReaders += 1;
  }

  /** A join with `since` was answered. */
  recovery(outcome: RecoveryOutcome): void {
    this.#recoveries.add(outcome);
  }

  /** A request was answered with ok, after so long. */
  requestServed(request: RequestName, seconds: number): void {
    this.#requests.add(request);
    if (request === "joinRoom") this.#join.observe(seconds);
    if (request === "getHistory") this.#history.observe(seconds);
  }

  requestRefused(request: RequestName, code: ErrorCode): void {
    this.#requestsRefused.add(request, code);
    if (code === "rate_limited") this.#rateLimited.add("requests");
  }

  apiCallServed(call: CallName): void {
    this.#apiCalls.add(call);
  }

  apiCallRefused(code: ErrorCode): void {
    this.#apiCallsRefused.add(code);
  }

  /** A rate was reached, and something refused or ended for it. */
  rateLimited(limit: Exclude<RateLimit, "requests">): void {
    this.#rateLimited.add(limit);
  }

  connected(transport: string): void {
    this.#connects.add(transport);
  }

  /** `reason` as Socket.IO gives it. */
  disconnected(reason: string): void {
    const label = reason.replaceAll(" ", "_");
    this.#disconnects.add((DISCONNECT_REASONS as readonly string[]).includes(label) ? label : "other");
  }

  connectionRefused(code: ErrorCode): void {
    this.#connectionsRefused.add(code);
  }

  /** A subscription was dead though its connection was open. */
  resubscribed(): void {
    this.#resubscribes += 1;
  }

  /** A connection to Redis is back. */
  reconnected(role: RedisRole): void {
    this.#redisReconnects.add(role);
  }

  /** What this node published to itself came back. */
  roundTrip(seconds: number): void {
    this.#roundTrip.observe(seconds);
  }

  leaseLost(): void {
    this.#leasesLost += 1;
  }

  redisMoved(): void {
    this.#redisMoves += 1;
  }

  nodeSwept(): void {
    this.#nodesSwept += 1;
  }

  canarySent(): void {
    this.#canariesSent += 1;
  }

  canaryFailed(): void {
    this.#canariesFailed += 1;
  }

  canaryHeard(seconds: number): void {
    this.#canaryDelay.observe(seconds);
  }

  #sources(node: string, gauges: Gauges): Sources<MetricName> {
    const flag = (is: () => boolean) => () => (is() ? 1 : 0);
    return {
      roomcast_node_info: { collect: (put) => put({ node }, 1) },
      roomcast_node_ready: flag(gauges.ready),
      roomcast_node_draining: flag(gauges.draining),
      roomcast_event_loop_delay_seconds: this.#loopDelay,
      roomcast_connections: gauges.connections,
      roomcast_transport_connections: { collect: (put) => countTransports(gauges.transports(), put) },
      roomcast_connects_total: counted(this.#connects),
      roomcast_disconnects_total: counted(this.#disconnects),
      roomcast_connections_refused_total: counted(this.#connectionsRefused),
      roomcast_outbound_bytes: gauges.owed,
      roomcast_rooms: () => this.#rooms.rooms,
      roomcast_members: () => this.#rooms.members,
      roomcast_room_connections: { collect: (put) => this.#rooms.collectConnections(put) },
      roomcast_room_emits_total: { collect: (put) => this.#rooms.collectEmits(put) },
      roomcast_room_log_messages: { collect: (put) => this.#rooms.collectLogs("messages", put) },
      roomcast_room_log_bytes: { collect: (put) => this.#rooms.collectLogs("bytes", put) },
      roomcast_emits_total: { collect: (put) => this.#rooms.collectTotals(put) },
      roomcast_requests_total: counted(this.#requests),
      roomcast_requests_refused_total: counted(this.#requestsRefused),
      roomcast_api_calls_total: counted(this.#apiCalls),
      roomcast_api_calls_refused_total: counted(this.#apiCallsRefused),
      roomcast_rate_limited_total: counted(this.#rateLimited),
      roomcast_join_duration_seconds: this.#join,
      roomcast_history_duration_seconds: this.#history,
      roomcast_recoveries_total: counted(this.#recoveries),
      roomcast_messages_accepted_total: () => this.#accepted,
      roomcast_messages_duplicate_total: () => this.#duplicates,
      roomcast_accepted_bytes_total: () => this.#acceptedBytes,
      roomcast_append_duration_seconds: this.#append,
      roomcast_messages_delivered_total: () => this.#delivered,
      roomcast_delivered_bytes_total: () => this.#deliveredBytes,
      roomcast_delivery_delay_seconds: this.#delay,
      roomcast_messages_per_write: this.#perWrite,
      roomcast_signals_accepted_total: () => this.#signals,
      roomcast_signals_dropped_total: () => this.#signalsDropped,
      roomcast_gaps_found_total: () => this.#gapsFound,
      roomcast_gaps_repaired_total: () => this.#gapsRepaired,
      roomcast_slow_readers_total: () => this.#slowReaders,
      roomcast_resyncs_total: counted(this.#resyncs),
      roomcast_feeds: gauges.feeds,
      roomcast_subscriptions: gauges.subscriptions,
      roomcast_resubscribes_total: () => this.#resubscribes,
      roomcast_redis_connected: {
        collect: (put) => {
          for (const role of REDIS_ROLES) {
            const connected = gauges.redisConnected(role);
            if (connected !== undefined) put({ role }, connected ? 1 : 0);
          }
        },
      },
      roomcast_redis_reconnects_total: counted(this.#redisReconnects),
      roomcast_pulse_round_trip_seconds: this.#roundTrip,
      roomcast_redis_silence_seconds: () => gauges.silentMs() / 1_000,
      roomcast_redis_unwritten_seconds: () => gauges.unwrittenMs() / 1_000,
      roomcast_redis_memory_used_bytes: known(() => gauges.redisMemory()?.usedBytes),
      roomcast_redis_memory_limit_bytes: known(() => gauges.redisMemory()?.limitBytes),
      roomcast_canary_sent_total: () => this.#canariesSent,
      roomcast_canary_failed_total: () => this.#canariesFailed,
      roomcast_canary_expected_total: ofPairs(gauges, ({ expected }) => expected),
      roomcast_canary_delivered_total: ofPairs(gauges, ({ delivered }) => delivered),
      roomcast_canary_lag_seconds: ofPairs(gauges, ({ lagMs }) => lagMs / 1_000),
      roomcast_canary_delay_seconds: this.#canaryDelay,
      roomcast_canary_comparison_age_seconds: () => gauges.canaryComparedMsAgo() / 1_000,
      roomcast_lease_held_seconds: () => gauges.leaseHeldMs() / 1_000,
      roomcast_leases_lost_total: () => this.#leasesLost,
      roomcast_redis_moves_total: () => this.#redisMoves,
      roomcast_nodes_swept_total: () => this.#nodesSwept,
      roomcast_members_swept_total: gauges.membersSwept,
    };
  }
}

type HistogramName = {
  [Name in MetricName]: (typeof METRICS)[Name] extends { kind: "histogram" } ? Name : never;
}[MetricName];

function histogram(name: HistogramName): PlainHistogram {
  return new PlainHistogram(METRICS[name].buckets);
}

/** No series where there is no value. */
function known(value: () => number | undefined): { collect: (put: Put) => void } {
  return {
    collect: (put) => {
      const now = value();
      if (now !== undefined) put({}, now);
    },
  };
}

function ofPairs({ canaryPairs }: Gauges, value: (pair: Readonly<Pair>) => number): { collect: (put: Put) => void } {
  return {
    collect: (put) => {
      for (const [from, pair] of canaryPairs()) put({ from }, value(pair));
    },
  };
}

function countTransports(names: Iterable<string>, put: Put): void {
  const counts = new Map<string, number>(TRANSPORTS.map((transport) => [transport, 0]));
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  for (const transport of TRANSPORTS) put({ transport }, counts.get(transport) ?? 0);
}
