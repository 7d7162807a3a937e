import type { Intervals } from "../intervals.ts";
import { Rounds } from "../rounds.ts";
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
  /** What was to be added and was refused: another time with the next turn, not with each room that comes or goes. */
  readonly #refused = new Set<string>();
  readonly #going = new Map<string, PromiseWithResolvers<void>>();
  #gathering: NodeJS.Timeout | undefined;
  /** One after the other: an add must not come after the review of a later leave. */
  #flushed = Promise.resolve();
  readonly #rounds = new Rounds(() => this.#rooms);
  #isAddingAgain = false;

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
    this.#refused.delete(room);
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
    await this.#add(coming);
    for (const rooms of slices(going.map(([room]) => room))) {
      // While Redis is away the next list that meets an empty room will do.
      await this.#directory.review(rooms).catch(() => undefined);
    }
    for (const [, reviewed] of going) reviewed.resolve();
  }

  async #add(rooms: readonly string[]): Promise<void> {
    for (const slice of slices(rooms)) {
      await this.#addThose(slice).catch(() => {
        for (const room of slice) if (this.#rooms.has(room)) this.#refused.add(room);
      });
    }
  }

  #addAgain(): void {
    if (this.#isAddingAgain) return;
    this.#isAddingAgain = true;
    this.#flushed = this.#flushed.then(async () => {
      await this.#addShares();
      this.#isAddingAgain = false;
    });
  }

  /** One of what was refused, and one of all that there is. */
  async #addShares(): Promise<void> {
    const share = Math.max(SLICE, Math.ceil(this.#rooms.size / TURNS));
    const refused = [...this.#refused].slice(0, share);
    for (const room of refused) this.#refused.delete(room);
    await this.#add(refused);
    for (const slice of slices([...this.#rounds.take(share)])) {
      // What is refused here is added in the next round.
      await this.#addThose(slice).catch(() => undefined);
    }
  }

  /** But for those left meanwhile: their review may have been. */
  async #addThose(rooms: readonly string[]): Promise<void> {
    await this.#directory.add(rooms.filter((room) => this.#rooms.has(room)));
  }
}

function* slices(rooms: readonly string[]): Iterable<readonly string[]> {
  for (let start = 0; start < rooms.length; start += SLICE) yield rooms.slice(start, start + SLICE);
}
