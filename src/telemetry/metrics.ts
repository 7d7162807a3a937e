import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { ERRORS, type ErrorCode } from "../errors.ts";
import { REQUESTS, type RequestName, type ServerEvents } from "../protocol.ts";
import { RoomMetrics, type RoomSample } from "./room-metrics.ts";

export type ResyncReason = ServerEvents["resync"]["reason"];
const CODES = Object.keys(ERRORS);
const RESYNC_REASONS: Readonly<Record<ResyncReason, true>> = { epoch: true, behind: true, log_unavailable: true };

/** What is counted by asking when somebody scrapes. */
export interface Gauges {
  readonly connections: () => number;
  readonly feeds: () => number;
  /** Bytes that all connections were sent and have not taken. */
  readonly owed: () => number;
  readonly rooms: () => Iterable<RoomSample>;
}

/** Seconds: an append is one script in Redis, and ends with the request's deadline of about two seconds. */
/** How often the event loop's delay is looked at: at prom-client's 10 ms that alone is a percent of a core (docs/performance.md). */
const LOOP_PRECISION_MS = 100;
const APPEND_BUCKETS_SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2];

/** Seconds: from a message that came at once to one that was read from the log after an outage. */
const DELAY_BUCKETS_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/**
 * Numbers by the values of one or two labels. Every combination is there from the start, at 0: a counter that appears with
 * its first event, at 1, has no growth that Prometheus could see, and the one `internal` of the night would be on no graph.
 */
class LabelledCounts {
  readonly names: readonly string[];
  readonly #counts = new Map<string, { labels: Record<string, string>; count: number }>();

  /** The labels, and for each all of its values. */
  constructor(labels: Readonly<Record<string, readonly string[]>>) {
    this.names = Object.keys(labels);
    let combinations: Record<string, string>[] = [{}];
    for (const [name, values] of Object.entries(labels)) {
      combinations = combinations.flatMap((others) => values.map((value) => ({ ...others, [name]: value })));
    }
    for (const combination of combinations) {
      this.#counts.set(Object.values(combination).join(" "), { labels: combination, count: 0 });
    }
  }

  /** One more of these values, in the order of the labels. */
  add(...values: readonly string[]): void {
    const entry = this.#counts.get(values.join(" "));
    if (entry !== undefined) entry.count++;
  }

  entries(): Iterable<{ labels: Record<string, string>; count: number }> {
    return this.#counts.values();
  }
}

/**
 * Every metric, by name. What happens per message or delivery only adds to a number here; Prometheus' own objects are
 * filled at the scrape.
 */
export class Metrics {
  readonly registry = new Registry();
  #accepted = 0;
  #signals = 0;
  #signalsDropped = 0;
  #delivered = 0;
  #gaps = 0;
  #slowReaders = 0;
  #resubscribes = 0;
  readonly #requestsRefused = new LabelledCounts({ request: Object.keys(REQUESTS), code: CODES });
  readonly #connectionsRefused = new LabelledCounts({ code: CODES });
  readonly #resyncs = new LabelledCounts({ reason: Object.keys(RESYNC_REASONS) });
  readonly #append: Histogram;
  readonly #delay: Histogram;
  readonly #roundTrip: Histogram;
  readonly #rooms: RoomMetrics;

  /** `topRooms`: most rooms with series of their own. */
  constructor(node: string, gauges: Gauges, topRooms: number) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: LOOP_PRECISION_MS });
    new Gauge({ name: "roomcast_node_info", help: "1, with the node's name", labelNames: ["node"], registers })
      .labels(node)
      .set(1);
    this.#gauge("roomcast_connections", "Connections of this node that are authenticated", gauges.connections);
    this.#gauge("roomcast_feeds", "Rooms that this node follows", gauges.feeds);
    this.#gauge("roomcast_outbound_bytes", "Bytes sent to connections and not taken by them", gauges.owed);
    this.#counter("roomcast_messages_accepted_total", "Messages acknowledged as stored", () => this.#accepted);
    this.#counter("roomcast_messages_delivered_total", "Messages handed to connections", () => this.#delivered);
    this.#counter("roomcast_signals_accepted_total", "Signals accepted", () => this.#signals);
    this.#counter(
      "roomcast_signals_dropped_total",
      "Signals not written to slow connections",
      () => this.#signalsDropped,
    );
    this.#counter("roomcast_gaps_repaired_total", "Gaps in a feed that were filled from the log", () => this.#gaps);
    this.#counter("roomcast_slow_readers_total", "Readers that left the live stream", () => this.#slowReaders);
    this.#counter("roomcast_resubscribes_total", "Dead subscriptions that were built anew", () => this.#resubscribes);
    this.#labelled("roomcast_requests_refused_total", "Requests answered with an error", this.#requestsRefused);
    this.#labelled("roomcast_connections_refused_total", "Handshakes refused", this.#connectionsRefused);
    this.#labelled("roomcast_resyncs_total", "Readers whose stream ended in resync", this.#resyncs);
    this.#rooms = new RoomMetrics(this.registry, topRooms, gauges.rooms);
    this.#delay = new Histogram({
      name: "roomcast_delivery_delay_seconds",
      help: "From a message's ts, by Redis' clock, until this node passes it on, by its own",
      buckets: DELAY_BUCKETS_SECONDS,
      registers,
    });
    this.#roundTrip = new Histogram({
      name: "roomcast_pulse_round_trip_seconds",
      help: "What this node publishes to itself, twice a second, until it comes back",
      buckets: DELAY_BUCKETS_SECONDS,
      registers,
    });
    this.#append = new Histogram({
      name: "roomcast_append_duration_seconds",
      help: "Time from handing a message to the log until it is stored",
      buckets: APPEND_BUCKETS_SECONDS,
      registers,
    });
  }

  /** A message was stored; `seconds` is what that took. */
  messageAccepted(_room: string, seconds: number): void {
    this.#accepted++;
    this.#append.observe(seconds);
  }

  signalAccepted(_room: string): void {
    this.#signals++;
  }

  /** A signal was not written to a connection that owes too much. */
  signalDropped(): void {
    this.#signalsDropped++;
  }

  /** A message of this `ts` (Unix milliseconds, by Redis' clock) is passed on now. */
  passed(ts: number): void {
    this.#delay.observe(Math.max(0, Date.now() - ts) / 1_000);
  }

  /** A room is closed on this node. */
  roomClosed(room: RoomSample): void {
    this.#rooms.retire(room);
  }

  /** One message went out to so many readers. */
  delivered(readers: number): void {
    this.#delivered += readers;
  }

  gapRepaired(): void {
    this.#gaps++;
  }

  /** A subscription was dead though its connection was open. */
  resubscribed(): void {
    this.#resubscribes++;
  }

  /** What this node published to itself came back. */
  roundTrip(seconds: number): void {
    this.#roundTrip.observe(seconds);
  }

  /** A reader's stream ended. */
  resync(reason: ResyncReason): void {
    this.#resyncs.add(reason);
  }

  /** A reader left the live stream, because its connection does not keep up. */
  slowReader(): void {
    this.#slowReaders++;
  }

  requestRefused(request: RequestName, code: ErrorCode): void {
    this.#requestsRefused.add(request, code);
  }

  connectionRefused(code: ErrorCode): void {
    this.#connectionsRefused.add(code);
  }

  #gauge(name: string, help: string, value: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(value());
      },
    });
  }

  #counter(name: string, help: string, value: () => number): void {
    new Counter({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(value());
      },
    });
  }

  #labelled(name: string, help: string, counts: LabelledCounts): void {
    new Counter({
      name,
      help,
      labelNames: [...counts.names],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const { labels, count } of counts.entries()) this.inc(labels, count);
      },
    });
  }
}
