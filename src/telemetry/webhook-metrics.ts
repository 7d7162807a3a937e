import { Counter, Gauge, type Registry } from "prom-client";

const DROPPED = ["queue_full", "dead_full"] as const;

/** What happens to webhooks. The labels are all there from the start, at 0. */
export class WebhookMetrics {
  readonly #delivered: Counter<"endpoint">;
  readonly #attemptsFailed: Counter<"endpoint">;
  readonly #dead: Counter<"endpoint">;
  readonly #dropped: Counter<"endpoint" | "reason">;
  readonly #lost: Counter;
  readonly #queued: Gauge<"endpoint">;
  readonly #queuedBytes: Gauge<"endpoint">;
  readonly #deadNow: Gauge<"endpoint">;

  constructor(registry: Registry, endpoints: readonly string[]) {
    const labelNames = ["endpoint"] as const;
    const counter = (name: string, help: string) => new Counter({ name, help, labelNames, registers: [registry] });
    const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames, registers: [registry] });
    this.#delivered = counter(
      "roomcast_webhook_events_delivered_total",
      "Events in deliveries that this node made and the endpoint answered 2xx",
    );
    this.#attemptsFailed = counter(
      "roomcast_webhook_attempts_failed_total",
      "Deliveries of this node that the endpoint did not answer 2xx",
    );
    this.#dead = counter("roomcast_webhook_events_dead_total", "Events that came to the dead-letter list");
    this.#dropped = new Counter({
      name: "roomcast_webhook_events_dropped_total",
      help: "Events that were dropped because the endpoint's queue or its dead-letter list was full",
      labelNames: ["endpoint", "reason"],
      registers: [registry],
    });
    this.#lost = new Counter({
      name: "roomcast_webhook_events_lost_total",
      help: "Events that came to no queue: a room's outbox was full, or Redis was away for too long",
      registers: [registry],
    });
    this.#queued = gauge(
      "roomcast_webhook_deliveries_queued",
      "Deliveries that wait or are under way, of the whole cluster",
    );
    this.#queuedBytes = gauge("roomcast_webhook_queued_bytes", "Bytes of those deliveries, of the whole cluster");
    this.#deadNow = gauge(
      "roomcast_webhook_deliveries_dead",
      "Deliveries in the dead-letter list, of the whole cluster",
    );
    for (const endpoint of endpoints) {
      for (const counter of [this.#delivered, this.#attemptsFailed, this.#dead]) counter.inc({ endpoint }, 0);
      for (const reason of DROPPED) this.#dropped.inc({ endpoint, reason }, 0);
    }
  }

  delivered(endpoint: string, events: number): void {
    this.#delivered.inc({ endpoint }, events);
  }

  attemptFailed(endpoint: string): void {
    this.#attemptsFailed.inc({ endpoint });
  }

  dead(endpoint: string, events: number): void {
    this.#dead.inc({ endpoint }, events);
  }

  dropped(endpoint: string, reason: (typeof DROPPED)[number], events: number): void {
    this.#dropped.inc({ endpoint, reason }, events);
  }

  lost(events: number): void {
    this.#lost.inc(events);
  }

  state(endpoint: string, { queued, queuedBytes, dead }: { queued: number; queuedBytes: number; dead: number }): void {
    this.#queued.set({ endpoint }, queued);
    this.#queuedBytes.set({ endpoint }, queuedBytes);
    this.#deadNow.set({ endpoint }, dead);
  }
}
