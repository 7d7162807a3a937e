import type { Redis } from "ioredis";
import type { EventOutbox } from "../log/event-outbox.ts";
import { storeFailure } from "../redis/failure.ts";
import type { Keys } from "../redis/keys.ts";
import { type DeadLetters, QueuedDeadLetters } from "./dead-letters.ts";
import { type EndpointCounts, EndpointQueue, type QueueState } from "./endpoint-queue.ts";
import { type Endpoint, Endpoints } from "./endpoints.ts";
import { incarnationOf } from "./events.ts";
import { Mover } from "./mover.ts";
import { type ConnectionNote, OpenConnections } from "./open-connections.ts";
import { RedisOutbox } from "./outbox.ts";

/** How long a stop waits for events of its own, and then for deliveries that are under way, in milliseconds. */
const STOP_MS = { events: 1_000, deliveries: 2_000 };

export interface WebhookCounts extends EndpointCounts {
  /** Events that never came to a queue: a room's outbox was full, or Redis was away for too long. */
  lost(events: number): void;
  state(endpoint: string, state: QueueState): void;
}

export interface WebhooksOptions {
  readonly endpoints: readonly Endpoint[];
  /** The connection that the rooms' scripts use too. */
  readonly commands: Redis;
  /** A connection of the queues' own. */
  readonly queues: Redis;
  readonly keys: Keys;
  /** This life of this node; it may change. */
  readonly incarnation: { readonly current: string };
  readonly counts: WebhookCounts;
  /** Once an outage: an endpoint takes no deliveries; and once it does again. */
  endpointLost(endpoint: string, error: Error): void;
  endpointBack(endpoint: string): void;
  /** Events that will reach nobody; of no endpoint in particular where they came to no queue. Each is counted, too. */
  eventsDropped(endpoint: string | undefined, events: number): void;
  failed(where: string, error: unknown): void;
}

/** Tells the application's servers what happens, at least once: from the rooms' outboxes by the endpoints' queues. */
export class Webhooks {
  readonly outbox: EventOutbox;
  readonly dead: DeadLetters;
  readonly #endpoints: Endpoints;
  readonly #queues: readonly EndpointQueue[];
  readonly #mover: Mover;
  readonly #connections: OpenConnections;
  readonly #counts: WebhookCounts;
  readonly #failed: WebhooksOptions["failed"];
  #started = false;

  constructor(options: WebhooksOptions) {
    const { commands, keys, incarnation, failed, eventsDropped } = options;
    const counts = told(options.counts, eventsDropped);
    this.#counts = counts;
    this.#failed = failed;
    this.#endpoints = new Endpoints(options.endpoints);
    this.#queues = options.endpoints.map(
      (endpoint) =>
        new EndpointQueue({
          endpoint,
          prefix: keys.endpoint(endpoint.name),
          connection: options.queues,
          counts,
          lost: options.endpointLost,
          back: options.endpointBack,
          failed,
        }),
    );
    const outbox = new RedisOutbox({
      commands,
      keys,
      wants: (room, news) => this.#endpoints.wantsNews(room, news),
      touched: (room) => this.#mover.touched(room),
    });
    this.outbox = outbox;
    this.#connections = new OpenConnections({
      ...{ commands, keys, outbox, incarnation, failed },
      dropped: () => counts.lost(1),
    });
    this.dead = new QueuedDeadLetters(this.#queues, storeFailure);
    this.#mover = new Mover({
      outbox,
      destinations: this.#queues.map((queue) => ({
        name: queue.endpoint.name,
        wants: ({ type, roomType }) => this.#endpoints.of(type, roomType).includes(queue.endpoint),
        add: (events) => queue.add(events),
      })),
      tend: async (room) => {
        const gone = incarnationOf(room);
        return gone === undefined || (await this.#connections.tend(gone));
      },
      look: () => this.#look(),
      dropped: (_room, events) => counts.lost(events),
      failed,
    });
  }

  /** A connection of this node is open. */
  opened(note: ConnectionNote): void {
    if (this.#endpoints.wantConnections) this.#connections.opened(note);
  }

  closed(connection: string, reason: string): void {
    this.#connections.closed(connection, reason);
  }

  /** This node goes on under a new incarnation. `announced`: others took it for dead, and told so. Resolves once all is its. */
  async renewed(announced: boolean): Promise<void> {
    try {
      await this.#connections.renewed(announced);
    } catch (error) {
      this.#failed("connections could not be told of again", error);
    }
  }

  /** From now on this node moves events and makes deliveries. Redis is there. */
  start(): void {
    this.#started = true;
    this.#mover.start();
    for (const queue of this.#queues) queue.start();
  }

  /** What is left is another node's. */
  async stop(): Promise<void> {
    if (this.#started) {
      await this.#connections.close(STOP_MS.events);
      await this.#mover.close(STOP_MS.events);
    }
    await Promise.all(this.#queues.map((queue) => queue.close(STOP_MS.deliveries)));
  }

  async #look(): Promise<void> {
    for (const queue of this.#queues) {
      const { name } = queue.endpoint;
      try {
        this.#counts.state(name, await queue.state());
      } catch (error) {
        this.#failed("a webhook queue failed", error);
      }
    }
  }
}

/** Who only counts hears of an event that is gone for good as soon as the log does. */
function told(counts: WebhookCounts, eventsDropped: WebhooksOptions["eventsDropped"]): WebhookCounts {
  return {
    delivered: (endpoint, events) => counts.delivered(endpoint, events),
    attemptFailed: (endpoint) => counts.attemptFailed(endpoint),
    dead: (endpoint, events) => counts.dead(endpoint, events),
    state: (endpoint, state) => counts.state(endpoint, state),
    dropped: (endpoint, reason, events) => {
      counts.dropped(endpoint, reason, events);
      eventsDropped(endpoint, events);
    },
    lost: (events) => {
      counts.lost(events);
      eventsDropped(undefined, events);
    },
  };
}
