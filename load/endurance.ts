import { setTimeout as delay } from "node:timers/promises";
import type { Metrics } from "./virtual-user.ts";

/** The share of the run, at its beginning and at its end, that is compared. */
const PART = 0.25;
const WATCH_EVERY_MS = 2_000;
const MIB = 1024 * 1024;
/** A node that has more than this many times its first memory, and so many MiB besides, has a leak. */
const GROWN_TIMES = 1.5;
const GROWN_MIB = 64;
/** The latencies that must not be worse at the end. */
const COMPARED = new Set(["load.ack_ms", "load.receipt_ms"]);

type Part = "first" | "last";

/** The time of one run in which everybody is there: from the first stay's end until nobody comes any more. */
export class Span {
  readonly #from: number;
  readonly #to: number;

  constructor(fromMs: number, toMs: number) {
    this.#from = fromMs;
    this.#to = toMs;
  }

  get end(): number {
    return this.#to;
  }

  /** The part of the run that this moment belongs to, if it is compared. */
  partAt(ms: number): Part | undefined {
    const share = (ms - this.#from) / (this.#to - this.#from);
    if (share >= 0 && share < PART) return "first";
    return share >= 1 - PART && share < 1 ? "last" : undefined;
  }
}

/** Reports what is compared a second time, under the name of its part: `load.first_ack_ms`, `load.last_ack_ms`. */
export function compared(metrics: Metrics, span: Span): Metrics {
  return {
    emit(kind, name, value) {
      metrics.emit(kind, name, value);
      const part = COMPARED.has(name) ? span.partAt(performance.now()) : undefined;
      if (part !== undefined) metrics.emit(kind, name.replace("load.", `load.${part}_`), value);
    },
  };
}

/** Watches the nodes' memory and event loop until the end of the span, and tells whether a node's memory grew. */
export async function watchNodes(adminUrls: readonly string[], span: Span, metrics: Metrics): Promise<void> {
  const memory = adminUrls.map(() => ({ first: [] as number[], last: [] as number[] }));
  let before: readonly (Reading | undefined)[] = [];
  for (let isFirst = true; adminUrls.length > 0 && performance.now() < span.end; isFirst = false) {
    const part = span.partAt(performance.now());
    const readings = await Promise.all(adminUrls.map(readNode));
    for (const [at, reading] of readings.entries()) {
      // One that never answered is a wrong address; others may be replaced meanwhile.
      if (reading === undefined && isFirst) throw new Error(`no metrics at ${adminUrls[at]}`);
      if (reading === undefined) continue;
      metrics.emit("histogram", "load.node_memory_mib", reading.memoryMib);
      const lagMs = meanLagMs(reading, before[at]);
      if (lagMs !== undefined) metrics.emit("histogram", "load.node_loop_lag_ms", lagMs);
      if (part !== undefined) memory[at]?.[part].push(reading.memoryMib);
    }
    before = readings;
    await delay(WATCH_EVERY_MS);
  }
  const grown = memory.filter(({ first, last }) => median(last) > GROWN_TIMES * median(first) + GROWN_MIB);
  metrics.emit("counter", "load.memory_grew", grown.length);
}

/** What a node said of itself; the event loop's delays are added up since it began. */
interface Reading {
  readonly memoryMib: number;
  readonly delaySeconds: number;
  readonly delays: number;
}

/** Undefined where it does not answer: nodes may be replaced meanwhile. */
async function readNode(admin: string): Promise<Reading | undefined> {
  const url = new URL("/metrics", admin);
  const text = await fetch(url, { signal: AbortSignal.timeout(WATCH_EVERY_MS) })
    .then((answer) => (answer.ok ? answer.text() : undefined))
    .catch(() => undefined);
  if (text === undefined) return undefined;
  const read = (metric: string) => {
    const value = Number(new RegExp(`^${metric}(?:\\{[^}]*\\})? (\\S+)$`, "m").exec(text)?.[1]);
    if (Number.isNaN(value)) throw new Error(`${url} has no ${metric}`);
    return value;
  };
  return {
    memoryMib: read("process_resident_memory_bytes") / MIB,
    delaySeconds: read("roomcast_event_loop_delay_seconds_sum"),
    delays: read("roomcast_event_loop_delay_seconds_count"),
  };
}

/** Between two readings; undefined where nothing was seen between them, or the node began anew. */
function meanLagMs(now: Reading, before: Reading | undefined): number | undefined {
  if (before === undefined || now.delays <= before.delays) return undefined;
  return (1_000 * (now.delaySeconds - before.delaySeconds)) / (now.delays - before.delays);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
