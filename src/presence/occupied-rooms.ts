import type { Intervals } from "../intervals.ts";
import type { RoomDirectory } from "./room-directory.ts";
import type { Occupancy } from "./seats.ts";

/** For how long rooms are gathered, so that many that come or go together cost little, in milliseconds. */
const GATHER_MS = 50;
/** How often a node adds all of its rooms again, in milliseconds: whatever the directory lost is there again. */
const AGAIN_MS = 30_000;
/** Most rooms that are added or reviewed in one turn: more would hold the loop and Redis. */
const SLICE = 500;

export interface Pace {
  readonly gatherMs: number;
  readonly againMs: number;
}

/** Keeps the directory at what this node has members in, beside the joins and leaves, which do not wait for it. */
export class OccupiedRooms implements Occupancy {
  readonly #directory: RoomDirectory;
  readonly #gatherMs: number;
  readonly #stopAgain: () => void;
  /** All in which this node has members. */
  readonly #rooms = new Set<string>();
  readonly #coming = new Set<string>();
  readonly #going = new Map<string, PromiseWithResolvers<void>>();
  #gathering: NodeJS.Timeout | undefined;
  /** One after the other: an add must not come after the review of a later leave. */
  #flushed = Promise.resolve();
  #repeating = false;

  constructor(
    directory: RoomDirectory,
    intervals: Intervals,
    { gatherMs, againMs }: Pace = { gatherMs: GATHER_MS, againMs: AGAIN_MS },
  ) {
    this.#directory = directory;
    this.#gatherMs = gatherMs;
    this.#stopAgain = intervals.every(againMs, () => void this.#repeat());
  }

  occupied(room: string): void {
    this.#rooms.add(room);
    this.#coming.add(room);
    this.#gather();
  }

  vacated(room: string): Promise<void> {
    this.#rooms.delete(room);
    this.#coming.delete(room);
    const reviewed = this.#going.get(room) ?? Promise.withResolvers<void>();
    this.#going.set(room, reviewed);
    this.#gather();
    return reviewed.promise;
  }

  close(): void {
    this.#stopAgain();
    clearTimeout(this.#gathering);
  }

  #gather(): void {
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      this.#flushed = this.#flushed.then(() => this.#flush());
    }, this.#gatherMs).unref();
  }

  async #flush(): Promise<void> {
    const coming = [...this.#coming];
    const going = [...this.#going];
    this.#coming.clear();
    this.#going.clear();
    await this.#inSlices(coming, (rooms) => this.#directory.add(rooms));
    await this.#inSlices(
      going.map(([room]) => room),
      (rooms) => this.#directory.review(rooms),
    );
    for (const [, reviewed] of going) reviewed.resolve();
  }

  async #repeat(): Promise<void> {
    if (this.#repeating) return;
    this.#repeating = true;
    await this.#inSlices([...this.#rooms], (rooms) =>
      // Who has gone since then may have been reviewed already.
      this.#directory.add(rooms.filter((room) => this.#rooms.has(room))),
    );
    this.#repeating = false;
  }

  /** While Redis is away the next repetition will do, or the next list that meets an empty room. */
  async #inSlices(rooms: readonly string[], step: (slice: readonly string[]) => Promise<void>): Promise<void> {
    for (let start = 0; start < rooms.length; start += SLICE) {
      await step(rooms.slice(start, start + SLICE)).catch(() => undefined);
    }
  }
}
