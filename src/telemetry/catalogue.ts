import { CALLS } from "../calls.ts";
import { ERRORS } from "../errors.ts";
import type { ResyncReason } from "../feed/feed-counts.ts";
import { REQUESTS } from "../protocol.ts";
import type { RecoveryOutcome } from "../room/context.ts";

/** One metric. Labels with a list have these values and no other, and a series for each from the start. */
export interface MetricRow {
  readonly kind: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels?: Readonly<Record<string, readonly string[] | "open">>;
  /** Upper bounds of a histogram's buckets, in the unit of the name. */
  readonly buckets?: readonly number[];
}

/** Seconds: what is one script in Redis ends with the request's deadline of about two seconds. */
const REQUEST_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2];
/** Seconds: from a message that came at once to one that was read from the log after an outage. */
const DELAY_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Messages. */
const WRITE_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128];

/** All values of a union: the compiler misses none. */
function every<Value extends string>(values: Readonly<Record<Value, true>>): readonly Value[] {
  return Object.keys(values) as Value[];
}

const CODES = Object.keys(ERRORS);
/** The connections of a node to Redis, by what they are for. */
export const REDIS_ROLES = ["commands", "reads", "subscriber", "webhooks"] as const;
/** What Socket.IO says of a socket's end, with underscores; `other` is what it may come to say. */
export const DISCONNECT_REASONS = [
  "transport_close",
  "transport_error",
  "ping_timeout",
  "parse_error",
  "forced_close",
  "client_namespace_disconnect",
  "server_namespace_disconnect",
  "server_shutting_down",
  "other",
] as const;
export const TRANSPORTS = ["websocket", "polling"] as const;
export const RATE_LIMIT_KINDS = ["requests", "room", "frames", "refusals", "connections"] as const;
export const RECOVERY_OUTCOMES = every<RecoveryOutcome>({ recovered: true, reload: true, forbidden: true });
export const RESYNC_REASONS = every<ResyncReason>({ epoch: true, behind: true, log_unavailable: true });

const ROOM_LABELS = { room_type: "open", room: "open" } as const;

/** Every metric of ours; those of webhooks below, and Node's own, are all else that is exported. Names are stable; dashboards and alerts use them. */
export const METRICS = {
  roomcast_node_info: { kind: "gauge", help: "1, with the node's name", labels: { node: "open" } },
  roomcast_node_ready: { kind: "gauge", help: "1 while /readyz says yes" },
  roomcast_node_draining: { kind: "gauge", help: "1 while this node hands its connections over" },
  roomcast_event_loop_delay_seconds: {
    kind: "histogram",
    help: "How late this node's timers are, seen about twice a second",
    buckets: DELAY_BUCKETS,
  },

  roomcast_connections: { kind: "gauge", help: "Connections of this node that are authenticated" },
  roomcast_transport_connections: {
    kind: "gauge",
    help: "The same, by the transport that they use now",
    labels: { transport: TRANSPORTS },
  },
  roomcast_connects_total: {
    kind: "counter",
    help: "Connections that were authenticated, by their first transport",
    labels: { transport: TRANSPORTS },
  },
  roomcast_disconnects_total: {
    kind: "counter",
    help: "Connections that ended, by what Socket.IO says of it",
    labels: { reason: DISCONNECT_REASONS },
  },
  roomcast_connections_refused_total: { kind: "counter", help: "Handshakes refused", labels: { code: CODES } },
  roomcast_outbound_bytes: { kind: "gauge", help: "Bytes sent to connections and not taken by them" },

  roomcast_rooms: { kind: "gauge", help: "Rooms with members on this node" },
  roomcast_members: { kind: "gauge", help: "Connections in rooms on this node, each once for every room" },
  roomcast_room_connections: {
    kind: "gauge",
    help: "Connections of this node in a room, for the rooms that matter now and all others",
    labels: ROOM_LABELS,
  },
  roomcast_room_emits_total: {
    kind: "counter",
    help: "Messages and signals passed on to the members on this node, for the rooms that matter now and all others",
    labels: ROOM_LABELS,
  },
  roomcast_room_log_messages: {
    kind: "gauge",
    help: "Messages that a room's log holds, for the rooms that matter now, by the last comparison and what this node heard since",
    labels: ROOM_LABELS,
  },
  roomcast_room_log_bytes: {
    kind: "gauge",
    help: "Bytes of the bodies of these messages",
    labels: ROOM_LABELS,
  },
  roomcast_emits_total: {
    kind: "counter",
    help: "Messages and signals passed on to the members on this node",
    labels: { room_type: "open" },
  },

  roomcast_requests_total: {
    kind: "counter",
    help: "Requests answered with ok",
    labels: { request: Object.keys(REQUESTS) },
  },
  roomcast_requests_refused_total: {
    kind: "counter",
    help: "Requests answered with an error",
    labels: { request: Object.keys(REQUESTS), code: CODES },
  },
  roomcast_api_calls_total: {
    kind: "counter",
    help: "Calls of the HTTP API that were carried out",
    labels: { call: Object.keys(CALLS) },
  },
  roomcast_api_calls_refused_total: {
    kind: "counter",
    help: "Calls of the HTTP API answered with an error, and messages of a batch that broke",
    labels: { code: CODES },
  },
  roomcast_rate_limited_total: {
    kind: "counter",
    help: "What was refused or ended because of a rate, by the limit that was reached",
    labels: { limit: RATE_LIMIT_KINDS },
  },
  roomcast_join_duration_seconds: {
    kind: "histogram",
    help: "From a joinRoom until its ok ack, with what was missed",
    buckets: REQUEST_BUCKETS,
  },
  roomcast_history_duration_seconds: {
    kind: "histogram",
    help: "From a getHistory until its ok ack",
    buckets: REQUEST_BUCKETS,
  },
  roomcast_recoveries_total: {
    kind: "counter",
    help: "Joins with since, by whether the stream went on from there",
    labels: { outcome: RECOVERY_OUTCOMES },
  },

  roomcast_messages_accepted_total: { kind: "counter", help: "Messages acknowledged as stored" },
  roomcast_messages_duplicate_total: { kind: "counter", help: "Of these, messages that were stored already" },
  roomcast_accepted_bytes_total: { kind: "counter", help: "Bytes of the messages acknowledged as stored" },
  roomcast_append_duration_seconds: {
    kind: "histogram",
    help: "Time from handing a message to the log until it is stored",
    buckets: REQUEST_BUCKETS,
  },
  roomcast_messages_delivered_total: { kind: "counter", help: "Messages handed to connections" },
  roomcast_delivered_bytes_total: { kind: "counter", help: "Bytes of the frames of messages handed to connections" },
  roomcast_delivery_delay_seconds: {
    kind: "histogram",
    help: "From a message's ts, by Redis' clock, until the write to each live member's socket, by this node's",
    buckets: DELAY_BUCKETS,
  },
  roomcast_messages_per_write: {
    kind: "histogram",
    help: "Messages that left in one write to a live member's socket",
    buckets: WRITE_BUCKETS,
  },
  roomcast_signals_accepted_total: { kind: "counter", help: "Signals accepted" },
  roomcast_signals_dropped_total: { kind: "counter", help: "Signals not written to slow connections" },

  roomcast_gaps_found_total: { kind: "counter", help: "Gaps in a feed: messages that its channel did not bring" },
  roomcast_gaps_repaired_total: { kind: "counter", help: "Gaps in a feed that were filled from the log" },
  roomcast_slow_readers_total: { kind: "counter", help: "Readers that left the live stream" },
  roomcast_resyncs_total: {
    kind: "counter",
    help: "Readers whose stream ended in resync",
    labels: { reason: RESYNC_REASONS },
  },

  roomcast_feeds: { kind: "gauge", help: "Rooms that this node follows" },
  roomcast_subscriptions: { kind: "gauge", help: "Channels of Redis that this node listens to" },
  roomcast_resubscribes_total: { kind: "counter", help: "Dead subscriptions that were built anew" },
  roomcast_redis_connected: {
    kind: "gauge",
    help: "1 while this connection to Redis is ready",
    labels: { role: REDIS_ROLES },
  },
  roomcast_redis_reconnects_total: {
    kind: "counter",
    help: "Times that this connection to Redis was back after it was lost",
    labels: { role: REDIS_ROLES },
  },
  roomcast_pulse_round_trip_seconds: {
    kind: "histogram",
    help: "What this node publishes to itself, twice a second, until it comes back",
    buckets: DELAY_BUCKETS,
  },
  roomcast_redis_silence_seconds: { kind: "gauge", help: "Since this node last heard itself through Redis" },
  roomcast_redis_unwritten_seconds: { kind: "gauge", help: "Since Redis last took a write of this node" },

  roomcast_redis_memory_used_bytes: { kind: "gauge", help: "Memory that Redis uses, as it says itself" },
  roomcast_redis_memory_limit_bytes: { kind: "gauge", help: "Its maxmemory, where it has one" },

  roomcast_canary_sent_total: { kind: "counter", help: "Canary messages of this node acknowledged as stored" },
  roomcast_canary_failed_total: { kind: "counter", help: "Canary messages of this node with another outcome" },
  roomcast_canary_expected_total: {
    kind: "counter",
    help: "Canary messages of a node that this one was to hear: what the log holds",
    labels: { from: "open" },
  },
  roomcast_canary_delivered_total: {
    kind: "counter",
    help: "Of these, what this node heard within 2 s",
    labels: { from: "open" },
  },
  roomcast_canary_lag_seconds: {
    kind: "gauge",
    help: "The longest way of a node's canary message from the log to this node in the last comparison",
    labels: { from: "open" },
  },
  roomcast_canary_delay_seconds: {
    kind: "histogram",
    help: "From the log to this node, for the canary messages of all nodes",
    buckets: DELAY_BUCKETS,
  },
  roomcast_canary_comparison_age_seconds: {
    kind: "gauge",
    help: "Since this node last compared what it heard with what the log holds",
  },

  roomcast_lease_held_seconds: { kind: "gauge", help: "For how long this node's lease has been held without a break" },
  roomcast_leases_lost_total: {
    kind: "counter",
    help: "Times that this node was taken for gone, or Redis lost its lease",
  },
  roomcast_redis_moves_total: {
    kind: "counter",
    help: "Times that another Redis answered, or one that was started again, which had this node's lease: it put its members back",
  },
  roomcast_nodes_swept_total: {
    kind: "counter",
    help: "Nodes that were gone, or began a new life, and that this node cleared up after",
  },
  roomcast_members_swept_total: {
    kind: "counter",
    help: "Connections of nodes that were gone, taken out of rooms by this node",
  },
} as const satisfies Record<string, MetricRow>;

export type MetricName = keyof typeof METRICS;

/** Why events of webhooks were dropped: what waits for the endpoint, or what it refused, is as much as it may be. */
export const WEBHOOK_DROPS = ["queue_full", "dead_full"] as const;

const ENDPOINT_LABELS = { endpoint: "open" } as const;

/** The metrics of webhooks, exported where there are any: a series for each endpoint from the start. */
export const WEBHOOK_METRICS = {
  roomcast_webhook_events_delivered_total: {
    kind: "counter",
    help: "Events in deliveries that this node made and the endpoint answered 2xx",
    labels: ENDPOINT_LABELS,
  },
  roomcast_webhook_attempts_failed_total: {
    kind: "counter",
    help: "Deliveries of this node that the endpoint did not answer 2xx",
    labels: ENDPOINT_LABELS,
  },
  roomcast_webhook_events_dead_total: {
    kind: "counter",
    help: "Events that came to the dead-letter list",
    labels: ENDPOINT_LABELS,
  },
  roomcast_webhook_events_dropped_total: {
    kind: "counter",
    help: "Events that were dropped because the endpoint's queue or its dead-letter list was full",
    labels: { ...ENDPOINT_LABELS, reason: WEBHOOK_DROPS },
  },
  roomcast_webhook_events_lost_total: {
    kind: "counter",
    help: "Events that came to no queue: a room's outbox was full, or Redis was away for too long",
  },
  roomcast_webhook_deliveries_queued: {
    kind: "gauge",
    help: "Deliveries that wait or are under way, of the whole cluster",
    labels: ENDPOINT_LABELS,
  },
  roomcast_webhook_queued_bytes: {
    kind: "gauge",
    help: "Bytes of those deliveries, of the whole cluster",
    labels: ENDPOINT_LABELS,
  },
  roomcast_webhook_deliveries_dead: {
    kind: "gauge",
    help: "Deliveries in the dead-letter list, of the whole cluster",
    labels: ENDPOINT_LABELS,
  },
} as const satisfies Record<string, MetricRow>;
