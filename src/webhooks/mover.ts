import { setTimeout as delay } from "node:timers/promises";
import type { WebhookEvent } from "./events.ts";
import { eventsOf } from "./events.ts";
import type { DueRoom, RedisOutbox, Taken } from "./outbox.ts";

/** Events are gathered for this long, so that they leave in batches, in milliseconds. */
const GATHER_MS = 200;
/** Rooms whose outboxes are moved in one turn: what is held meanwhile is so many times what is taken of one. */
const MOST_ROOMS = 100;
/** How often this node looks for rooms that nobody announces any more, in milliseconds; by lot up to twice that. */
const LOOK_MS = 2_500;
/** Before trying again what Redis refused, in milliseconds. */
const RETRY_MS = 1_000;

export interface MoverOptions {
  readonly outbox: Pick<RedisOutbox, "take" | "release" | "claimDue" | "retire">;
  /** Resolves once each event is in the queue of every endpoint that wants it. */
  deliver(events: readonly WebhookEvent[]): Promise<void>;
  /** Before the outbox of a room that was due is emptied. False where the room is to stay due, whatever it holds. */
  tend(room: string): Promise<boolean>;
  /** Regularly. */
  look(): Promise<void>;
  /** Events that found a room's outbox full. */
  dropped(room: string, events: number): void;
  failed(where: string, error: unknown): void;
}

/**
 * Moves events out of the rooms' outboxes into the queues of the endpoints: at once where this node left them there, and
 * after a while where another node did and is gone. An event leaves its outbox once it is in the queues, so none is lost
 * wherever a node dies; some are then moved twice.
 */
export class Mover {
  readonly #options: MoverOptions;
  readonly #rooms = new Set<string>();
  readonly #due = new Map<string, DueRoom>();
  #wake: () => void = () => undefined;
  #closed = false;
  #moving: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();

  constructor(options: MoverOptions) {
    this.#options = options;
  }

  /** A room's outbox may hold events. */
  touched(room: string): void {
    this.#rooms.add(room);
    this.#wake();
  }

  start(): void {
    this.#moving = this.#move();
    this.#look().catch((error: unknown) => this.#options.failed("webhooks stopped looking for events", error));
  }

  /** Moves what is left, for so long, and ends. */
  async close(withinMs: number): Promise<void> {
    this.#closed = true;
    this.#closing.abort();
    this.#wake();
    await Promise.race([this.#moving, delay(withinMs, undefined, { ref: false })]);
  }

  async #move(): Promise<void> {
    let isBehind = false;
    while (!this.#closed || this.#rooms.size > 0) {
      if (this.#rooms.size === 0) await this.#touch();
      if (!isBehind && this.#rooms.size < MOST_ROOMS) await this.#pause(GATHER_MS);
      const rooms = [...this.#rooms].slice(0, MOST_ROOMS);
      for (const room of rooms) this.#rooms.delete(room);
      try {
        isBehind = await this.#turn(rooms);
      } catch (error) {
        this.#options.failed("webhook events could not be moved", error);
        if (this.#closed) return;
        for (const room of rooms) this.#rooms.add(room);
        await this.#pause(RETRY_MS);
      }
    }
  }

  /** True where a room held more than is taken at a time: an outbox is bounded, and what finds it full is lost. */
  async #turn(rooms: readonly string[]): Promise<boolean> {
    const { outbox, deliver, dropped } = this.#options;
    const taken = await Promise.all(rooms.map(async (room) => ({ room, took: await outbox.take(room) })));
    await deliver(taken.flatMap(({ room, took }) => (took.kind === "busy" ? [] : this.#told(room, took))));
    await Promise.all(
      taken.map(async ({ room, took }) => {
        if (took.kind === "busy") return this.#again(room);
        await outbox.release(room, took.entries);
        if (took.dropped > 0) dropped(room, took.dropped);
        if (took.more) return this.#again(room);
        const due = this.#due.get(room);
        this.#due.delete(room);
        if (due !== undefined) await outbox.retire(due);
      }),
    );
    return taken.some(({ took }) => took.kind === "taken" && took.more);
  }

  #told(room: string, { entries }: Extract<Taken, { kind: "taken" }>): WebhookEvent[] {
    return entries.flatMap((entry) => {
      try {
        return eventsOf(room, entry);
      } catch (error) {
        // It would hold up all others of this room for ever.
        this.#options.failed("a webhook event could not be read", error);
        return [];
      }
    });
  }

  #again(room: string): void {
    if (!this.#closed) this.#rooms.add(room);
  }

  async #look(): Promise<void> {
    const { outbox, tend, look, failed } = this.#options;
    while (!this.#closed) {
      await this.#pause(LOOK_MS * (1 + Math.random()));
      if (this.#closed) return;
      try {
        for (const due of await outbox.claimDue()) {
          if (await tend(due.room)) this.#due.set(due.room, due);
          this.touched(due.room);
        }
        await look();
      } catch (error) {
        failed("webhook events could not be looked for", error);
      }
    }
  }

  #touch(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      if (this.#closed || this.#rooms.size > 0) resolve();
    });
  }

  /** Shorter where this node stops. */
  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { ref: false, signal: this.#closing.signal }).catch(() => undefined);
  }
}
