import { setTimeout as delay } from "node:timers/promises";

/** How often connections whose time has come are closed, in milliseconds. */
const TURN_MS = 50;
/** The share of the drain in which the balancer may notice, before the first connection has to go, and its most. */
const NOTICE = { share: 0.2, mostMs: 5_000 };
/** Longer than any request may take: whoever still waits for an answer then is let go without it. In milliseconds. */
const ANSWER_WITHIN_MS = 2_500;

/** Multiples of it, taken modulo 1, are spread evenly however many there are (Weyl's sequence). */
const GOLDEN = 0.618_033_988_749_895;

/** A connection that has to move to another node. */
export interface Movable {
  /** Requests of it that are not answered yet. */
  readonly pending: number;
  /** Tells that its transport will be closed within `withinMs`. */
  warn(withinMs: number): void;
  /** Closes the transport, not the socket: stock clients then come back by themselves, elsewhere. */
  move(): void;
}

export interface DrainOptions {
  /** Every connection of this node, now. */
  connections(): Iterable<Movable>;
  /** How long it may take to hand all of them over, in milliseconds. */
  readonly drainMs: number;
}

/**
 * Hands a node's connections over, spread over the drain time so that the others are not stormed. Connections that come
 * while it lasts (the balancer has not noticed) get what is left of it. Resolves when none is left, or the time is over.
 */
export async function drain({ connections, drainMs }: DrainOptions): Promise<void> {
  if (isEmpty(connections())) return;
  const started = performance.now();
  await delay(Math.min(drainMs * NOTICE.share, NOTICE.mostMs));
  const end = started + drainMs;
  const slots = new Map<Movable, number>();
  const deadline = end + ANSWER_WITHIN_MS;
  for (let now = performance.now(); now < deadline && !isEmpty(connections()); now = performance.now()) {
    assignSlots([...connections()], slots, now, end);
    for (const connection of connections()) {
      const slot = slots.get(connection) ?? now;
      if (now >= slot && (connection.pending === 0 || now >= slot + ANSWER_WITHIN_MS)) connection.move();
    }
    await delay(TURN_MS);
  }
}

/** Evenly over what is left, in an order that has nothing to do with when they came. */
function assignSlots(all: readonly Movable[], slots: Map<Movable, number>, now: number, end: number): void {
  const fresh = all.filter((connection) => !slots.has(connection));
  const left = Math.max(0, end - now);
  const offset = Math.random();
  for (const [index, connection] of fresh.entries()) {
    const place = ((index * GOLDEN + offset) % 1) * left;
    slots.set(connection, now + place);
    connection.warn(Math.ceil(place));
  }
}

function isEmpty(items: Iterable<unknown>): boolean {
  return items[Symbol.iterator]().next().done === true;
}
