import { cpus } from "node:os";

/** What a report says of its run, beside artillery's own figures. */
export interface RunFacts {
  readonly script: string;
  readonly options: Readonly<Record<string, string>>;
  /** Of Roomcast's checkout that ran the load. */
  readonly version: string;
  /** Of the machine that ran the load. */
  readonly machine: string;
}

interface Summary {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

export interface Report {
  readonly run: RunFacts;
  readonly aggregate: {
    readonly counters: Readonly<Record<string, number>>;
    readonly summaries: Readonly<Record<string, Summary>>;
    /** Unix milliseconds. */
    readonly firstMetricAt: number;
    readonly lastMetricAt: number;
  };
}

/** For people: processors and Node. */
export function machine(): string {
  const all = cpus();
  return `${all.length} × ${all[0]?.model.trim() ?? "unknown"}, Node ${process.versions.node}`;
}

const COLUMNS = [
  "script",
  "virtual users",
  "seconds",
  "messages/s",
  "deliveries/s",
  "ack p50/p95/p99 ms",
  "receipt p50/p95/p99 ms",
  "recovery p50/p95/p99 ms",
  "joins",
  "missing",
  "doubled",
  "wrong views",
];

/** In Markdown: what was run where, and a table with one row for each report. */
export function resultsTable(reports: readonly Report[]): string {
  const places = new Set(reports.map(({ run }) => `Roomcast ${run.version}, virtual users on ${run.machine}.`));
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  const rows = reports.map((report) => line(rowOf(report)));
  return [...places, "", line(COLUMNS), line(COLUMNS.map(() => "---")), ...rows].join("\n");
}

function rowOf({ run, aggregate }: Report): (string | number)[] {
  const { counters, summaries, firstMetricAt, lastMetricAt } = aggregate;
  const seconds = (lastMetricAt - firstMetricAt) / 1_000;
  const count = (name: string) => counters[`load.${name}`] ?? 0;
  const perSecond = (name: string) => Math.round(count(name) / seconds);
  const options = Object.entries(run.options).filter(([name]) => name !== "target" && name !== "metrics-port");
  return [
    [`\`${run.script}\``, ...options.map(([name, value]) => `\`--${name} ${value}\``)].join(" "),
    counters["vusers.created"] ?? 0,
    Math.round(seconds),
    perSecond("acknowledged"),
    perSecond("delivered"),
    percentiles(summaries["load.ack_ms"]),
    percentiles(summaries["load.receipt_ms"]),
    percentiles(summaries["load.recovery_ms"]),
    count("joins"),
    count("missing"),
    count("doubled"),
    count("wrong_views"),
  ];
}

function percentiles(summary: Summary | undefined): string {
  if (summary === undefined) return "";
  return [summary.p50, summary.p95, summary.p99].map((ms) => (ms < 10 ? ms.toFixed(1) : Math.round(ms))).join(" / ");
}
