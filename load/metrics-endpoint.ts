// A plugin of artillery, for --metrics-port: Prometheus fetches what artillery counts, as it fetches the nodes' own.
import type { EventEmitter } from "node:events";
import { createServer } from "node:http";
import { Counter, Gauge, Registry } from "prom-client";
import { PLUGIN } from "./options.ts";

/** How long the end of a run waits for its last figures to be fetched: Prometheus' default interval, and some. */
const LAST_FETCH_MS = 65_000;
const QUANTILES = { p50: "0.5", p95: "0.95", p99: "0.99", max: "1" } as const;

/** One period's figures, or the whole run's, as artillery reports them. */
interface Stats {
  readonly counters?: Readonly<Record<string, number>>;
  readonly summaries?: Readonly<Record<string, Readonly<Record<keyof typeof QUANTILES, number>>>>;
}

interface Settings {
  readonly port: number;
  readonly script: string;
}

/** Artillery's counters and latencies under the names and in the units that Prometheus expects. */
export class LoadMetrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();

  constructor(script: string) {
    this.#registry.setDefaultLabels({ script });
  }

  /** Takes the figures of one period in. */
  add({ counters = {}, summaries = {} }: Stats): void {
    for (const [name, value] of Object.entries(counters)) this.#count(name, value);
    for (const [name, summary] of Object.entries(summaries)) {
      const base = /^load\.(\w+)$/.exec(name)?.[1];
      if (base === undefined) continue;
      const isTime = base.endsWith("_ms");
      const gauge = this.#gauge(`roomcast_load_${isTime ? base.replace(/_ms$/, "_seconds") : base}`);
      for (const [key, quantile] of Object.entries(QUANTILES)) {
        const value = summary[key as keyof typeof QUANTILES];
        gauge.set({ quantile }, isTime ? value / 1_000 : value);
      }
    }
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #count(name: string, value: number): void {
    const [, kind, rest = ""] = /^(load|vusers|errors)\.(.+)$/.exec(name) ?? [];
    const code = /^refused\.(.+)$/.exec(rest)?.[1];
    if (kind === "errors") this.#counter("roomcast_load_errors_total", "error").inc({ error: rest }, value);
    else if (code !== undefined) this.#counter("roomcast_load_refused_total", "code").inc({ code }, value);
    else if (kind === "load") this.#counter(`roomcast_load_${rest}_total`).inc(value);
    else if (kind === "vusers" && !rest.includes(".")) this.#counter(`roomcast_load_vusers_${rest}_total`).inc(value);
  }

  #counter(name: string, ...labelNames: string[]): Counter {
    const help = "Counted by the load test, since its start.";
    const counter = this.#counters.get(name) ?? new Counter({ name, help, labelNames, registers: [this.#registry] });
    this.#counters.set(name, counter);
    return counter;
  }

  #gauge(name: string): Gauge {
    const help = "Measured by the load test in its last period of ten seconds.";
    const gauge =
      this.#gauges.get(name) ?? new Gauge({ name, help, labelNames: ["quantile"], registers: [this.#registry] });
    this.#gauges.set(name, gauge);
    return gauge;
  }
}

/** What artillery calls this plugin's figures by: those of today, not of its first version. */
export const LEGACY_METRICS_FORMAT = false;

/** What artillery makes of this file, once in its main thread and once in each worker, where it does nothing. */
export class Plugin {
  /** Resolves once the whole run's figures have been fetched; undefined while there is nothing to wait for. */
  #lastFetch: PromiseWithResolvers<void> | undefined;
  #isWatched = false;

  constructor(script: { config: { plugins: Record<string, Settings> } }, events: EventEmitter) {
    const settings = script.config.plugins[PLUGIN];
    if (process.env.LOCAL_WORKER_ID !== undefined || settings === undefined) return;
    const metrics = new LoadMetrics(settings.script);
    events.on("stats", (stats: Stats) => metrics.add(stats));
    events.on("done", () => {
      // Whoever has never fetched anything will not come for the last figures.
      if (this.#isWatched) this.#lastFetch = Promise.withResolvers();
    });
    const server = createServer((request, response) => {
      if (request.method !== "GET" || request.url !== "/metrics") {
        response.writeHead(404).end();
        return;
      }
      const last = this.#lastFetch;
      this.#isWatched = true;
      void metrics.text().then((text) => {
        response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
        response.end(text, () => last?.resolve());
      });
    });
    server.on("error", (error) => {
      process.stderr.write(`--metrics-port: ${error.message}\n`);
      process.exit(1);
    });
    const host = process.env.HOST || (process.env.NODE_ENV === "production" ? "0.0.0.0" : "127.0.0.1");
    server.listen(settings.port, host);
  }

  /** Called by artillery after a run, which waits for `done`. */
  cleanup(done: () => void): void {
    if (this.#lastFetch === undefined) {
      done();
      return;
    }
    process.stdout.write("waiting until Prometheus has fetched the last figures\n");
    setTimeout(done, LAST_FETCH_MS).unref();
    void this.#lastFetch.promise.then(done);
  }
}
