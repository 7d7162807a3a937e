import { setTimeout as delay } from "node:timers/promises";
import { RoomcastError } from "../errors.ts";
import type { Joined, JoinRequest, Presence, Seat } from "./presence.ts";

/** Waits between tries to take a seat away while Redis is away, in milliseconds. */
const RETRY_MS = { first: 100, most: 2_000 };
/** Seats that are taken again at a time. */
const PUT_BACK_SLICE = 100;

/**
 * Which rooms a node has seats in, kept where others find it when the node dies. Both are repeatable.
 * `noteRoom` is sent before the first seat of a room is taken, `forgetRoom` after the last one was given up.
 */
export interface RoomIndex {
  noteRoom(room: string): Promise<void>;
  forgetRoom(room: string): Promise<void>;
}

/**
 * The seats that this node answers for. A seat that was asked for is given up again until Redis has confirmed it:
 * a join whose outcome is unknown leaves no ghost.
 */
export class Seats {
  readonly #presence: Presence;
  readonly #index: RoomIndex;
  readonly #failed: (error: unknown) => void;
  /** By room and connection: who sits, or has not been confirmed to have left. */
  readonly #rooms = new Map<string, Map<string, JoinRequest>>();
  readonly #leaving = new Map<string, Seat>();
  readonly #graces = new Map<string, { readonly seat: Seat; readonly timer: NodeJS.Timeout }>();
  #closed = false;

  constructor(presence: Presence, index: RoomIndex, failed: (error: unknown) => void) {
    this.#presence = presence;
    this.#index = index;
    this.#failed = failed;
  }

  /** Takes a seat. On a failure whose outcome is unknown the caller gives it up by `leave`. */
  async join(request: JoinRequest): Promise<Joined> {
    const connections = this.#rooms.get(request.room);
    if (connections !== undefined) {
      connections.set(request.connection, request);
      return this.#presence.join(request);
    }
    this.#rooms.set(request.room, new Map([[request.connection, request]]));
    // Both leave in this order on one connection: the index is never behind the room.
    const noted = this.#index.noteRoom(request.room);
    const joined = this.#presence.join(request);
    const [, result] = await Promise.all([noted, joined]);
    return result;
  }

  /** Replaces the state of the user who sits there (JSON text of an object). */
  async setState(seat: Seat, state: string): Promise<void> {
    await this.#presence.setState(seat, state);
    const connections = this.#rooms.get(seat.room);
    const request = connections?.get(seat.connection);
    if (request !== undefined) connections?.set(seat.connection, { ...request, state });
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
   * Takes all seats again that are neither given up nor in their grace, for a node that goes on under a new incarnation.
   * Rejects where one could not be taken; it may then be repeated.
   */
  async putBack(announced: boolean): Promise<void> {
    for (const room of this.#rooms.keys()) await this.putBackIn(room, announced);
  }

  /** As `putBack`, for one room. */
  async putBackIn(room: string, announced: boolean): Promise<void> {
    const connections = this.#rooms.get(room);
    if (connections === undefined) return;
    await this.#index.noteRoom(room);
    const seats = [...connections.values()].filter((seat) => !this.#isGoing(seat));
    for (let start = 0; start < seats.length; start += PUT_BACK_SLICE) {
      const slice = seats.slice(start, start + PUT_BACK_SLICE);
      await Promise.all(slice.map((seat) => this.#takeAgain({ ...seat, quiet: !announced })));
    }
  }

  async #takeAgain(seat: JoinRequest): Promise<void> {
    try {
      await this.#presence.join(seat);
    } catch (error) {
      // A newer join of the same connection has taken it, or it was refused: both are an outcome.
      if (!(error instanceof RoomcastError) || error.code === "unavailable") throw error;
    }
  }

  #isGoing(seat: Seat): boolean {
    const key = keyOf(seat);
    return this.#leaving.has(key) || this.#graces.has(key);
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
    this.#graces.set(key, { seat, timer });
  }

  /** Ends the grace of those who must not stay for it. */
  endGraces(ends: (seat: Seat) => boolean): void {
    for (const [key, { seat, timer }] of this.#graces) {
      if (!ends(seat)) continue;
      clearTimeout(timer);
      this.#graces.delete(key);
      this.leaveQuietly(seat);
    }
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#graces.values()) clearTimeout(timer);
    this.#graces.clear();
  }

  #forget(seat: Seat): void {
    const connections = this.#rooms.get(seat.room);
    // A newer join of the same connection has the seat now.
    if (connections === undefined || (connections.get(seat.connection)?.attempt ?? 0) > seat.attempt) return;
    connections.delete(seat.connection);
    if (connections.size > 0) return;
    this.#rooms.delete(seat.room);
    this.#index.forgetRoom(seat.room).catch(this.#failed);
  }
}

function keyOf({ connection, room }: Seat): string {
  return `${connection} ${room}`;
}
