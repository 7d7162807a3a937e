import { setTimeout as delay } from "node:timers/promises";
import { RoomcastError } from "../errors.ts";
import type { Joined, JoinRequest, Presence, Seat } from "./presence.ts";

/** Waits between tries to take a seat away while Redis is away, in milliseconds. */
const RETRY_MS = { first: 100, most: 2_000 };
/** Most seats that are taken again, or given up, in one turn: more would hold the loop and Redis. */
const SLICE = 500;

/**
 * Which rooms a node has seats in, kept where others find it when the node dies. Both are repeatable.
 * `noteRoom` is sent before the first seat of a room is taken, `forgetRoom` after the last one was given up.
 */
export interface RoomIndex {
  noteRoom(room: string): Promise<void>;
  forgetRoom(room: string): Promise<void>;
}

/** A room in which this node has seats, or may have. */
interface SeatedRoom {
  /** By connection: who sits, or has not been confirmed to have left. */
  readonly seats: Map<string, JoinRequest>;
  /** The index has the room once this is resolved; undefined where that failed. */
  noted: Promise<void> | undefined;
}

/**
 * The seats that this node answers for. A seat that was asked for is given up again until Redis has confirmed it:
 * a join whose outcome is unknown leaves no ghost.
 */
export class Seats {
  readonly #presence: Presence;
  readonly #index: RoomIndex;
  readonly #failed: (error: unknown) => void;
  readonly #rooms = new Map<string, SeatedRoom>();
  readonly #leaving = new Map<string, Seat>();
  readonly #graces = new Map<string, NodeJS.Timeout>();
  /** Seats of which others may have been told that they were given up, and which are not taken again yet. */
  readonly #expelled = new Set<string>();
  #closed = false;

  constructor(presence: Presence, index: RoomIndex, failed: (error: unknown) => void) {
    this.#presence = presence;
    this.#index = index;
    this.#failed = failed;
  }

  /** Takes a seat. On a failure whose outcome is unknown the caller gives it up by `leave`. */
  async join(request: JoinRequest): Promise<Joined> {
    const room = this.#rooms.get(request.room) ?? { seats: new Map<string, JoinRequest>(), noted: undefined };
    this.#rooms.set(request.room, room);
    room.seats.set(request.connection, request);
    // Both leave in this order on one connection: the index is never behind the room.
    const noted = room.noted ?? this.#note(request.room);
    const joined = this.#presence.join(request);
    const [, result] = await Promise.all([noted, joined]);
    return result;
  }

  /** Replaces the state of the user who sits there (JSON text of an object). */
  async setState(seat: Seat, state: string): Promise<void> {
    await this.#presence.setState(seat, state);
    const seats = this.#rooms.get(seat.room)?.seats;
    const request = seats?.get(seat.connection);
    if (request !== undefined) seats?.set(seat.connection, { ...request, state });
  }

  /** Gives a seat up; resolves once Redis has confirmed that, however long it takes. */
  async leave(seat: Seat): Promise<void> {
    const key = keyOf(seat);
    this.#leaving.set(key, seat);
    for (let wait = RETRY_MS.first; this.#leaving.get(key) === seat; wait = Math.min(wait * 2, RETRY_MS.most)) {
      try {
        await this.#presence.leave(seat);
        break;
      } catch (error) {
        if (this.#closed) throw error;
        await delay(wait, undefined, { ref: false });
      }
    }
    if (this.#leaving.get(key) !== seat) return;
    this.#leaving.delete(key);
    this.#forget(seat);
  }

  /**
   * This node goes on under a new incarnation. `announced`: others tell that all of its members left, so whoever is put
   * back is announced, once; otherwise nobody was told anything.
   */
  renewed(announced: boolean): void {
    for (const room of this.#rooms.values()) room.noted = undefined;
    if (announced) for (const seat of this.#all()) this.#expelled.add(keyOf(seat));
  }

  /**
   * After `renewed`: first finishes what is being given up, then takes all other seats again. Rejects where one could not
   * be taken; it may then be repeated.
   */
  async putBack(): Promise<void> {
    const leaving = [...this.#leaving.values()];
    for (let start = 0; start < leaving.length; start += SLICE) {
      await Promise.all(leaving.slice(start, start + SLICE).map((seat) => this.#presence.leave(seat)));
    }
    await this.#takeAgain([...this.#all()]);
  }

  /** As `putBack`, for one room. */
  async putBackIn(room: string): Promise<void> {
    await this.#takeAgain([...(this.#rooms.get(room)?.seats.values() ?? [])]);
  }

  *#all(): Iterable<JoinRequest> {
    for (const { seats } of this.#rooms.values()) yield* seats.values();
  }

  async #takeAgain(seats: readonly JoinRequest[]): Promise<void> {
    for (let start = 0; start < seats.length; start += SLICE) {
      // Asked in the turn in which it is sent: who left while the slices before were on their way must stay out.
      const slice = seats.slice(start, start + SLICE).flatMap((seat) => this.#stillThere(seat) ?? []);
      const noted = [...new Set(slice.map(({ room }) => room))].map((room) => this.#note(room));
      await Promise.all([...noted, ...slice.map((seat) => this.#take(seat))]);
    }
  }

  /** The seat as it is now. Who is in the grace counts as present, unless the others saw them leave. */
  #stillThere(seat: Seat): JoinRequest | undefined {
    const key = keyOf(seat);
    const now = this.#rooms.get(seat.room)?.seats.get(seat.connection);
    const isOut = this.#leaving.has(key) || (this.#graces.has(key) && this.#expelled.has(key));
    return now?.attempt === seat.attempt && !isOut ? now : undefined;
  }

  async #take(seat: JoinRequest): Promise<void> {
    const key = keyOf(seat);
    try {
      await this.#presence.join({ ...seat, quiet: !this.#expelled.has(key) });
    } catch (error) {
      // A newer join of the same connection has taken it, or it was refused: both are an outcome.
      if (!(error instanceof RoomcastError) || error.code === "unavailable") throw error;
    }
    this.#expelled.delete(key);
  }

  async #note(name: string): Promise<void> {
    const noted = this.#index.noteRoom(name);
    const room = this.#rooms.get(name);
    if (room !== undefined) room.noted = noted;
    try {
      await noted;
    } catch (error) {
      // Whoever joins next tries again: a seat that the index does not know of would outlive the node.
      if (room?.noted === noted) room.noted = undefined;
      throw error;
    }
  }

  /** As `leave`, for those who do not wait for it. */
  leaveQuietly(seat: Seat): void {
    this.leave(seat).catch(this.#failed);
  }

  /** Gives a seat up after a while: a user who is back by then never left. */
  leaveLater(seat: Seat, graceMs: number): void {
    const key = keyOf(seat);
    const timer = setTimeout(() => {
      this.#graces.delete(key);
      this.leaveQuietly(seat);
    }, graceMs);
    this.#graces.set(key, timer);
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#graces.values()) clearTimeout(timer);
    this.#graces.clear();
  }

  #forget(seat: Seat): void {
    this.#expelled.delete(keyOf(seat));
    const room = this.#rooms.get(seat.room);
    // A newer join of the same connection has the seat now.
    if (room === undefined || (room.seats.get(seat.connection)?.attempt ?? 0) > seat.attempt) return;
    room.seats.delete(seat.connection);
    if (room.seats.size > 0) return;
    this.#rooms.delete(seat.room);
    this.#index.forgetRoom(seat.room).catch(this.#failed);
  }
}

function keyOf({ connection, room }: Seat): string {
  return `${connection} ${room}`;
}
