import type { Intervals } from "../intervals.ts";
import type { RoomDirectory } from "./room-directory.ts";
import type { Occupancy } from "./seats.ts";

/** For how long rooms are gathered, so that many that come or go together cost little, in milliseconds. */
const GATHER_MS = 50;
/** How often a node adds a share of its rooms again, in milliseconds: whatever the directory lost is there again. */
const AGAIN_MS = 30_000;
/** Of a node with very many rooms, each is added again after so many turns: all at once cost half a second each time. */
const TURNS = 10;
/** Most rooms that are added or reviewed in one step: more would hold the loop and Redis. */
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
  /** Of these, what is yet to be added. */
  readonly #coming = new Set<string>();
  readonly #going = new Map<string, PromiseWithResolvers<void>>();
  #gathering: NodeJS.Timeout | undefined;
  /** One after the other: an add must not come after the review of a later leave. */
  #flushed = Promise.resolve();
  #round: IterableIterator<string> | undefined;

  constructor(
    directory: RoomDirectory,
    intervals: Intervals,
    { gatherMs, againMs }: Pace = { gatherMs: GATHER_MS, againMs: AGAIN_MS },
  ) {
    this.#directory = directory;
    this.#gatherMs = gatherMs;
    this.#stopAgain = intervals.every(againMs, () => this.#addAgain());
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
    for (const rooms of slices(coming)) await this.#add(rooms);
    for (const rooms of slices(going.map(([room]) => room))) {
      // While Redis is away the next list that meets an empty room will do.
      await this.#directory.review(rooms).catch(() => undefined);
    }
    for (const [, reviewed] of going) reviewed.resolve();
  }

  async #add(rooms: readonly string[]): Promise<void> {
    try {
      await this.#directory.add(rooms);
    } catch {
      // Redis is away: the next turn will do.
      for (const room of rooms) if (this.#rooms.has(room)) this.#coming.add(room);
    }
  }

  #addAgain(): void {
    const share = Math.max(SLICE, Math.ceil(this.#rooms.size / TURNS));
    for (let count = 0; count < share; count += 1) {
      this.#round ??= this.#rooms.values();
      const next = this.#round.next();
      if (next.done) {
        this.#round = undefined;
        break;
      }
      this.#coming.add(next.value);
    }
    if (this.#coming.size > 0) this.#gather();
  }
}

function* slices(rooms: readonly string[]): Iterable<readonly string[]> {
  for (let start = 0; start < rooms.length; start += SLICE) yield rooms.slice(start, start + SLICE);
}
