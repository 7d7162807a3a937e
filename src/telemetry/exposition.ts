import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { MetricRow } from "./catalogue.ts";
import type { LabelledCounts } from "./labelled-counts.ts";
import { PlainHistogram } from "./plain-histogram.ts";

/** Gives one series its value. */
export type Put = (labels: Readonly<Record<string, string>>, value: number) => void;

/** Where a metric's values come from when somebody scrapes: one number, a histogram, or whatever is put. */
export type Source = (() => number) | PlainHistogram | { readonly collect: (put: Put) => void };

/** One for every metric of a table. */
export type Sources<Name extends string> = { readonly [Each in Name]: Source };

/** What prom-client keeps of one histogram without labels. */
interface HistogramValues {
  labels: Record<string, string>;
  bucketValues: Record<string, number>;
  sum: number;
  count: number;
}

/** prom-client's histogram, filled from plain numbers: its own `observe` would resolve labels each time. */
class FilledHistogram extends Histogram {
  readonly #plain: PlainHistogram;

  constructor(name: string, help: string, plain: PlainHistogram, registry: Registry) {
    super({ name, help, buckets: [...plain.bounds], registers: [registry], collect: () => this.#fill() });
    this.#plain = plain;
  }

  #fill(): void {
    const { bounds, counts, sum, count } = this.#plain;
    const bucketValues = Object.fromEntries(bounds.map((bound, index) => [bound, counts[index] ?? 0]));
    const values: HistogramValues = { labels: {}, bucketValues, sum, count };
    Reflect.set(this, "hashMap", { "": values });
  }
}

/** Registers every metric of a table with prom-client, to be filled at each scrape, in the table's order. */
export function expose<Name extends string>(
  registry: Registry,
  table: Readonly<Record<Name, MetricRow>>,
  sources: Sources<Name>,
): void {
  for (const name of Object.keys(table) as Name[]) {
    const row = table[name];
    const source = sources[name];
    if (source instanceof PlainHistogram) {
      new FilledHistogram(name, row.help, source, registry);
    } else {
      exposeSeries(registry, name, row, typeof source === "function" ? single(source) : source.collect);
    }
  }
}

/** Puts all that was counted. */
export function counted(counts: LabelledCounts): { collect: (put: Put) => void } {
  return {
    collect: (put) => {
      for (const { labels, count } of counts.entries()) put(labels, count);
    },
  };
}

function single(value: () => number): (put: Put) => void {
  return (put) => put({}, value());
}

function exposeSeries(registry: Registry, name: string, row: MetricRow, collect: (put: Put) => void): void {
  const options = { name, help: row.help, labelNames: Object.keys(row.labels ?? {}), registers: [registry] };
  if (row.kind === "counter") {
    const counter = new Counter({
      ...options,
      collect: () => {
        counter.reset();
        collect((labels, value) => counter.inc(labels, value));
      },
    });
  } else {
    const gauge = new Gauge({
      ...options,
      collect: () => {
        gauge.reset();
        collect((labels, value) => gauge.set(labels, value));
      },
    });
  }
}
