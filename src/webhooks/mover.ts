import { setTimeout as delay } from "node:timers/promises";
import { eventsOf, type OutboxEntry, type WebhookEvent } from "./events.ts";
import type { DueRoom, RedisOutbox, Taken } from "./outbox.ts";

/** Events are gathered for this long, so that they leave in batches, in milliseconds. */
const GATHER_MS = 200;
/** Rooms whose outboxes are moved in one turn: what is held meanwhile is so many times what is taken of one. */
const MOST_ROOMS = 100;
/** How often this node looks for rooms that nobody announces any more, in milliseconds; by lot up to twice that. */
const LOOK_MS = 2_500;
/** Before trying again what Redis refused, in milliseconds. */
const RETRY_MS = 1_000;
/** Before looking again at what another node holds, in milliseconds. */
const BUSY_MS = 500;

/** What became of events that were to be added: all are dealt with (in the queue, or dropped and counted), or the first few. */
export type Added =
  | { readonly kind: "added" }
  | { readonly kind: "refused"; readonly events: number; readonly error: unknown };

/** Where events are moved to: an endpoint's queue. */
export interface Destination {
  readonly name: string;
  wants(event: WebhookEvent): boolean;
  /** Adds them in their order; never rejects. */
  add(events: readonly WebhookEvent[]): Promise<Added>;
}

/** What was taken of one room in a turn, as its destinations are told. */
interface Load {
  readonly room: string;
  readonly took: Extract<Taken, { kind: "taken" }>;
  /** What each of its entries is told by. */
  readonly told: readonly (readonly WebhookEvent[])[];
}

export interface MoverOptions {
  readonly outbox: Pick<RedisOutbox, "take" | "release" | "claimDue" | "retire">;
  readonly destinations: readonly Destination[];
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
 * after a while where another node did and is gone. An event leaves its outbox once it is in all queues that want it, so
 * none is lost wherever a node dies; some are then moved twice. A room or a queue that is refused holds up no other.
 */
export class Mover {
  readonly #options: MoverOptions;
  readonly #rooms = new Set<string>();
  readonly #due = new Map<string, DueRoom>();
  /** Rooms that were refused or busy, until they come again. */
  readonly #waiting = new Set<string>();
  /** The last entry of a room that each queue has, until it leaves the outbox: it is not moved there twice. */
  readonly #moved = new Map<string, Map<string, string>>();
  #wake: () => void = () => undefined;
  #closed = false;
  #moving: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();

  constructor(options: MoverOptions) {
    this.#options = options;
  }

  /** A room's outbox may hold events. */
  touched(room: string): void {
    if (this.#waiting.has(room)) return;
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
        // Refusals are dealt with in the turn: this is a fault, and must not end the moving of all rooms.
        this.#options.failed("webhook events could not be moved", error);
        for (const room of rooms) this.#later(room, RETRY_MS);
        isBehind = false;
      }
    }
  }

  /** True where a room held more than is taken at a time: an outbox is bounded, and what finds it full is lost. */
  async #turn(rooms: readonly string[]): Promise<boolean> {
    const errors: unknown[] = [];
    const take = async ({ room }: { room: string }) => ({ room, took: await this.#options.outbox.take(room) });
    const named = rooms.map((room) => ({ room }));
    const loads: Load[] = [];
    for (const { room, took } of await this.#each(named, take, errors)) {
      if (took.kind === "busy") this.#later(room, BUSY_MS);
      else loads.push({ room, took, told: took.entries.map((entry) => this.#told(room, entry)) });
    }
    for (const { room, took } of loads) if (took.dropped > 0) this.#options.dropped(room, took.dropped);
    await Promise.all(this.#options.destinations.map((queue) => this.#deliver(loads, queue, errors)));
    const moved = loads.filter((load) => this.#isMoved(load));
    await this.#each(moved, (load) => this.#release(load), errors);
    if (errors.length > 0) this.#options.failed("webhook events could not be moved", errors[0]);
    return moved.some(({ took }) => took.more);
  }

  /** What is done for each room; a room for which it fails comes again after a while. */
  async #each<Of extends { readonly room: string }, Done>(
    all: readonly Of[],
    act: (one: Of) => Promise<Done>,
    errors: unknown[],
  ): Promise<Done[]> {
    const ends = await Promise.allSettled(all.map(act));
    return ends.flatMap((end, index) => {
      if (end.status === "fulfilled") return [end.value];
      errors.push(end.reason);
      this.#later(all[index]?.room ?? "", RETRY_MS);
      return [];
    });
  }

  /** Adds what a queue wants of these rooms and does not have yet, and remembers how far it came in each. */
  async #deliver(loads: readonly Load[], queue: Destination, errors: unknown[]): Promise<void> {
    const lacking = loads.map((load) => this.#lacking(load, queue));
    const events = lacking.flatMap((entries) => entries.flatMap(({ events }) => events));
    const added: Added = events.length === 0 ? { kind: "added" } : await queue.add(events);
    if (added.kind === "refused") errors.push(added.error);
    let left = added.kind === "added" ? events.length : added.events;
    for (const [index, { room }] of loads.entries()) {
      for (const { id, events } of lacking[index] ?? []) {
        if (events.length > left) {
          left = 0;
          break;
        }
        left -= events.length;
        const moved = this.#moved.get(room) ?? new Map<string, string>();
        this.#moved.set(room, moved.set(queue.name, id));
      }
    }
  }

  /** The entries of a room that a queue does not have, with what it wants of each. */
  #lacking({ room, took, told }: Load, queue: Destination): { id: string; events: readonly WebhookEvent[] }[] {
    const last = this.#moved.get(room)?.get(queue.name);
    const from = took.entries.findIndex(({ id }) => id === last) + 1;
    return took.entries.slice(from).map(({ id }, index) => ({
      id,
      events: (told[from + index] ?? []).filter((event) => queue.wants(event)),
    }));
  }

  /** Whether every queue has what it wants of the room; otherwise it comes again. */
  #isMoved(load: Load): boolean {
    const isMoved = this.#options.destinations.every((queue) => this.#lacking(load, queue).length === 0);
    if (!isMoved) this.#later(load.room, RETRY_MS);
    return isMoved;
  }

  async #release({ room, took }: Load): Promise<void> {
    await this.#options.outbox.release(room, took.entries);
    this.#moved.delete(room);
    if (took.more) return this.#again(room);
    const due = this.#due.get(room);
    this.#due.delete(room);
    if (due !== undefined) await this.#options.outbox.retire(due);
  }

  #told(room: string, entry: OutboxEntry): readonly WebhookEvent[] {
    try {
      return eventsOf(room, entry);
    } catch (error) {
      // It would hold up all others of this room for ever.
      this.#options.failed("a webhook event could not be read", error);
      return [];
    }
  }

  /** After a while, unless this node stops. */
  #later(room: string, ms: number): void {
    if (this.#closed) return;
    this.#waiting.add(room);
    setTimeout(() => {
      this.#waiting.delete(room);
      this.touched(room);
    }, ms).unref();
  }

  #again(room: string): void {
    if (!this.#closed) this.touched(room);
  }

  async #look(): Promise<void> {
    const { outbox, look, failed } = this.#options;
    while (!this.#closed) {
      await this.#pause(LOOK_MS * (1 + Math.random()));
      if (this.#closed) return;
      try {
        const refused = (error: unknown) => failed("webhook events could not be looked for", error);
        for (const due of await outbox.claimDue(refused)) await this.#tend(due);
        await look();
      } catch (error) {
        failed("webhook events could not be looked for", error);
      }
    }
  }

  async #tend(due: DueRoom): Promise<void> {
    try {
      if (await this.#options.tend(due.room)) this.#due.set(due.room, due);
    } catch (error) {
      this.#options.failed("webhook events could not be looked for", error);
    }
    this.touched(due.room);
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
