import type { Registry } from "prom-client";
import { WEBHOOK_DROPS, WEBHOOK_METRICS } from "./catalogue.ts";
import { counted, expose, type Source } from "./exposition.ts";
import { LabelledCounts } from "./labelled-counts.ts";

/** What waits for an endpoint, or was given up, in the whole cluster. */
interface EndpointState {
  readonly queued: number;
  readonly queuedBytes: number;
  readonly dead: number;
}

/** What happens to webhooks; names and descriptions are in catalogue.ts. */
export class WebhookMetrics {
  readonly #delivered: LabelledCounts;
  readonly #attemptsFailed: LabelledCounts;
  readonly #dead: LabelledCounts;
  readonly #dropped: LabelledCounts;
  readonly #states = new Map<string, EndpointState>();
  #lost = 0;

  constructor(registry: Registry, endpoints: readonly string[]) {
    this.#delivered = new LabelledCounts({ endpoint: endpoints });
    this.#attemptsFailed = new LabelledCounts({ endpoint: endpoints });
    this.#dead = new LabelledCounts({ endpoint: endpoints });
    this.#dropped = new LabelledCounts({ endpoint: endpoints, reason: WEBHOOK_DROPS });
    expose(registry, WEBHOOK_METRICS, {
      roomcast_webhook_events_delivered_total: counted(this.#delivered),
      roomcast_webhook_attempts_failed_total: counted(this.#attemptsFailed),
      roomcast_webhook_events_dead_total: counted(this.#dead),
      roomcast_webhook_events_dropped_total: counted(this.#dropped),
      roomcast_webhook_events_lost_total: () => this.#lost,
      roomcast_webhook_deliveries_queued: this.#ofStates(({ queued }) => queued),
      roomcast_webhook_queued_bytes: this.#ofStates(({ queuedBytes }) => queuedBytes),
      roomcast_webhook_deliveries_dead: this.#ofStates(({ dead }) => dead),
    });
  }

  delivered(endpoint: string, events: number): void {
    this.#delivered.addMany(events, endpoint);
  }

  attemptFailed(endpoint: string): void {
    this.#attemptsFailed.add(endpoint);
  }

  dead(endpoint: string, events: number): void {
    this.#dead.addMany(events, endpoint);
  }

  dropped(endpoint: string, reason: (typeof WEBHOOK_DROPS)[number], events: number): void {
    this.#dropped.addMany(events, endpoint, reason);
  }

  lost(events: number): void {
    this.#lost += events;
  }

  state(endpoint: string, state: EndpointState): void {
    this.#states.set(endpoint, state);
  }

  #ofStates(value: (state: EndpointState) => number): Source {
    return {
      collect: (put) => {
        for (const [endpoint, state] of this.#states) put({ endpoint }, value(state));
      },
    };
  }
}
