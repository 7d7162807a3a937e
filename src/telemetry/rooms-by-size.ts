import type { RoomTally } from "./room-tally.ts";

/**
 * Rooms by their number of connections. A room that grows or shrinks moves from one set to another; the largest are found
 * from above, without a look at the others. There are few different sizes: a thousand take half a million connections.
 */
export class RoomsBySize {
  readonly #bySize = new Map<number, Set<RoomTally>>();
  #rooms = 0;

  /** Rooms that have any connections. */
  get size(): number {
    return this.#rooms;
  }

  move(tally: RoomTally, from: number, to: number): void {
    const left = this.#bySize.get(from);
    if (left?.delete(tally)) {
      this.#rooms -= 1;
      if (left.size === 0) this.#bySize.delete(from);
    }
    if (to === 0) return;
    let entered = this.#bySize.get(to);
    if (entered === undefined) {
      entered = new Set();
      this.#bySize.set(to, entered);
    }
    entered.add(tally);
    this.#rooms += 1;
  }

  /** The `most` largest rooms, the largest first. */
  largest(most: number): RoomTally[] {
    const found: RoomTally[] = [];
    const sizes = [...this.#bySize.keys()].sort((a, b) => b - a);
    for (const size of sizes) {
      for (const tally of this.#bySize.get(size) ?? []) {
        if (found.length >= most) return found;
        found.push(tally);
      }
    }
    return found;
  }
}
