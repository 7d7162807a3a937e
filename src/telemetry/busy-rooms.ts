import type { RoomTally } from "./room-tally.ts";

/**
 * The rooms with the most emits since the last look, without a look at the others. A room offers itself once it has more
 * emits in this window than the bar; when twice as many have come as are kept, the lesser half is dropped, and the bar
 * rises to what is left. Within a window counts only grow, so whoever stayed out has no more than the bar, and as many as
 * are kept have at least that: unlike the counters of a space-saving sketch, these are exact, for each room has its own.
 */
export class BusyRooms {
  /** Counts the windows: a room's emits of another one are not of this one. */
  window = 0;
  /** A room with more emits than this may be among the busiest. */
  bar = 0;
  readonly #kept: number;
  #candidates: RoomTally[] = [];

  /** `kept`: how many of the busiest are known for certain. */
  constructor(kept: number) {
    this.#kept = kept;
  }

  /** Emits of a room in this window. */
  freshOf(tally: RoomTally): number {
    return tally.window === this.window ? tally.emits - tally.before : 0;
  }

  offer(tally: RoomTally): void {
    tally.busy = true;
    this.#candidates.push(tally);
    if (this.#candidates.length < 2 * this.#kept) return;
    this.#candidates.sort((a, b) => this.freshOf(b) - this.freshOf(a));
    for (const dropped of this.#candidates.splice(this.#kept)) dropped.busy = false;
    const last = this.#candidates.at(-1);
    this.bar = last === undefined ? 0 : this.freshOf(last);
  }

  /** The busiest rooms of this window, in no order; closed ones may be among them. */
  busiest(): readonly RoomTally[] {
    return this.#candidates;
  }

  /** The next window begins. */
  turn(): void {
    this.window += 1;
    this.bar = 0;
    this.#candidates = [];
  }
}
