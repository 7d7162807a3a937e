import { setTimeout as delay } from "node:timers/promises";
import { MissingRight, RoomcastError } from "../errors.ts";
import type { Joined, JoinRequest, Presence, Seat } from "./presence.ts";

/** Waits between tries to take a seat away while Redis is away, and where it refuses for another reason, in milliseconds. */
const RETRY_MS = { first: 100, most: 2_000, mostRefused: 30_000 };
/** Most seats that are taken again, or given up, at a time: more would hold the loop and Redis. */
const SLICE = 500;

/**
 * Which rooms a node has seats in, kept where others find it when the node dies. Both are repeatable.
 * `noteRoom` is sent before the first seat of a room is taken, `forgetRoom` after the last one was given up.
 */
export interface RoomIndex {
  noteRoom(room: string): Promise<void>;
  forgetRoom(room: string): Promise<void>;
}

/** Which rooms this node has members in, for the list of all nodes together. */
export interface Occupancy {
  /** The first member of this node is in. Nobody waits for what comes of it. */
  occupied(room: string): void;
  /** The last one has left; resolves once the list knows, or cannot be told. */
  vacated(room: string): Promise<void>;
}

/** Who sits, or has not been confirmed to have left. */
interface Seated {
  request: JoinRequest;
  /** The life of this node under which the seat was taken last. */
  life: number;
  /** When its connection last told name and state: in whole seconds of `performance.now()`, which take no object. */
  toldAtS: number;
}

/** A room in which this node has seats, or may have. */
interface SeatedRoom {
  /** By connection. */
  readonly seats: Map<string, Seated>;
  /** Under `life`, the index has the room once this is resolved; undefined where that failed. */
  noted: Promise<void> | undefined;
  life: number;
  /** Somebody was seen to be in, and the occupancy was told. */
  occupied: boolean;
}

/**
 * The seats that this node answers for. A seat that was asked for is given up again until Redis has confirmed it:
 * a join whose outcome is unknown leaves no ghost.
 */
export class Seats {
  readonly #presence: Presence;
  readonly #index: RoomIndex;
  readonly #occupancy: Occupancy;
  readonly #failed: (error: unknown) => void;
  readonly #rooms = new Map<string, SeatedRoom>();
  readonly #leaving = new Map<string, Seat>();
  /** Those of them that nobody waits for, and whose turn has not come. */
  readonly #queued = new Set<Seat>();
  #inTurn = 0;
  readonly #graces = new Map<string, { readonly seat: Seat; readonly timer: NodeJS.Timeout }>();
  /** Counts the incarnations: nothing has to be gone through when one ends. */
  #life = 0;
  /** Others were shown that all seats of earlier lives were given up. */
  #shownLeaving = 0;
  /** What was told before that is in the store, or something newer is; 0 where nothing is. By `performance.now()`. */
  #keptUntil = 0;
  /** Not all were put back since then. */
  #owing = false;
  #closed = false;

  constructor(presence: Presence, index: RoomIndex, occupancy: Occupancy, failed: (error: unknown) => void) {
    this.#presence = presence;
    this.#index = index;
    this.#occupancy = occupancy;
    this.#failed = failed;
  }

  /** Takes a seat. On a failure whose outcome is unknown the caller gives it up by `leave`. */
  async join(request: JoinRequest): Promise<Joined> {
    const room = this.#rooms.get(request.room) ?? {
      seats: new Map<string, Seated>(),
      noted: undefined,
      life: this.#life,
      occupied: false,
    };
    this.#rooms.set(request.room, room);
    room.seats.set(request.connection, { request, life: this.#life, toldAtS: nowS() });
    // Both leave in this order on one connection: the index is never behind the room.
    const noted = (room.life === this.#life ? room.noted : undefined) ?? this.#note(request.room);
    const joined = this.#presence.join(request);
    const [, result] = await Promise.all([noted, joined]);
    this.#tellOccupied(request.room, room);
    return result;
  }

  /** Replaces the state of the user who sits there (JSON text of an object). */
  async setState(seat: Seat, state: string): Promise<void> {
    const seated = this.#rooms.get(seat.room)?.seats.get(seat.connection);
    const before = seated && { ...seated };
    // At once: who is put back while this is under way comes behind it, and must not bring the state before.
    if (seated !== undefined) {
      seated.request = { ...seated.request, state };
      seated.toldAtS = nowS();
    }
    try {
      await this.#presence.setState(seat, state);
    } catch (error) {
      // It is in the store, or comes there with the next putting back: nobody knows, and its sender was told so.
      if (!isAway(error) && seated !== undefined && before !== undefined && seated.request.state === state) {
        Object.assign(seated, { request: before.request, toldAtS: before.toldAtS });
      }
      throw error;
    }
  }

  /**
   * Gives a seat up; resolves once Redis has confirmed that, however long it takes. Refusals that do not pass by themselves are told,
   * and tried again after a while, for which `refused` is called.
   */
  async leave(seat: Seat, refused: () => void = () => undefined): Promise<void> {
    const key = keyOf(seat);
    this.#leaving.set(key, seat);
    for (let wait = RETRY_MS.first; this.#leaving.get(key) === seat; wait *= 2) {
      try {
        await this.#presence.leave(seat);
        break;
      } catch (error) {
        if (this.#closed) throw error;
        if (!isAway(error)) {
          this.#failed(error);
          refused();
        }
        wait = Math.min(wait, isAway(error) ? RETRY_MS.most : RETRY_MS.mostRefused);
        await delay(wait, undefined, { ref: false });
      }
    }
    if (this.#leaving.get(key) !== seat) return;
    this.#leaving.delete(key);
    this.#forget(seat);
  }

  /**
   * This node goes on under a new incarnation. `announced`: others tell that all of its members left, so whoever is put
   * back is announced, once; otherwise nobody was told anything. What was told before `keptUntil`, by `performance.now()`, the
   * store has; 0 where it has nothing.
   */
  renewed(announced: boolean, keptUntil: number): void {
    this.#life += 1;
    this.#keptUntil = this.#owing ? Math.min(this.#keptUntil, keptUntil) : keptUntil;
    this.#owing = true;
    if (announced) this.#shownLeaving = this.#life;
  }

  /**
   * After `renewed`: first finishes what is being given up, then takes all other seats again. Rejects where one could not be
   * taken for a reason that passes; it may then be repeated.
   */
  async putBack(): Promise<void> {
    const life = this.#life;
    if (this.#leaving.size > 0) await this.finishLeaving();
    const areAllTaken = await this.#takeAgain(this.#ofEarlierLives());
    if (!areAllTaken) throw new MissingRight("seats could not be taken again: the user in Redis lacks a right");
    if (life === this.#life) this.#owing = false;
  }

  /** Resolves once what is being given up now is given up; rejects with `unavailable`. */
  async finishLeaving(): Promise<void> {
    const leaving = [...this.#leaving.values()];
    for (let start = 0; start < leaving.length; start += SLICE) {
      await Promise.all(leaving.slice(start, start + SLICE).map((seat) => this.#finish(seat)));
    }
  }

  async #finish(seat: Seat): Promise<void> {
    try {
      await this.#presence.leave(seat);
    } catch (error) {
      // Any other refusal is told by whoever gives the seat up, and tries again.
      if (isAway(error)) throw error;
    }
  }

  /** As `putBack`, for one room that the store lost; once. */
  async putBackIn(room: string): Promise<void> {
    await this.#takeAgain(this.#rooms.get(room)?.seats.values() ?? []);
  }

  *#ofEarlierLives(): Iterable<Seated> {
    for (const { seats } of this.#rooms.values()) {
      for (const seated of seats.values()) if (seated.life < this.#life) yield seated;
    }
  }

  /**
   * Goes through the seats as it gets to them: who left while others were on their way must stay out. False where some are to be
   * tried again.
   */
  async #takeAgain(seats: Iterable<Seated>): Promise<boolean> {
    const rest = seats[Symbol.iterator]();
    let areAllTaken = true;
    for (let slice = this.#nextSlice(rest); slice.length > 0; slice = this.#nextSlice(rest)) {
      const noted = [...new Set(slice.map(({ request }) => request.room))].map((room) => this.#note(room));
      const [taken] = await Promise.all([Promise.all(slice.map((seated) => this.#take(seated))), ...noted]);
      if (taken.includes(false)) areAllTaken = false;
      for (const { request } of slice) if (this.#rooms.has(request.room)) this.#occupancy.occupied(request.room);
    }
    return areAllTaken;
  }

  #nextSlice(rest: Iterator<Seated>): Seated[] {
    const slice: Seated[] = [];
    while (slice.length < SLICE) {
      const next = rest.next();
      if (next.done) break;
      if (!this.#isOut(next.value)) slice.push(next.value);
    }
    return slice;
  }

  /** False where it is to be tried again. */
  async #take(seated: Seated): Promise<boolean> {
    const life = this.#life;
    try {
      await this.#presence.join({
        ...seated.request,
        // It was in: that others have come meanwhile is no reason to be out.
        maxMembers: 0,
        tells: seated.life < this.#shownLeaving ? "everybody" : "nobody",
        keepsKnown: (seated.toldAtS + 1) * 1_000 < this.#keptUntil,
      });
    } catch (error) {
      if (isAway(error)) throw error;
      // A newer join of the same connection has taken it, or it was refused: both are an outcome, and so is a room that is broken.
      // No other seat must wait for it.
      if (!(error instanceof RoomcastError)) this.#failed(error);
      if (error instanceof MissingRight) return false;
    }
    seated.life = life;
    return true;
  }

  /** Given up, or in the grace and shown to have left; else who is in the grace counts as present. */
  #isOut({ request, life }: Seated): boolean {
    const key = keyOf(request);
    const leaving = this.#leaving.get(key);
    // A newer join of the same connection is not given up by what is left of an older one.
    if (leaving !== undefined && leaving.attempt >= request.attempt) return true;
    return this.#graces.has(key) && life < this.#shownLeaving;
  }

  async #note(name: string): Promise<void> {
    const noted = this.#index.noteRoom(name);
    const room = this.#rooms.get(name);
    if (room !== undefined) {
      room.noted = noted;
      room.life = this.#life;
    }
    try {
      await noted;
    } catch (error) {
      // Whoever joins next tries again: a seat that the index does not know of would outlive the node.
      if (room?.noted === noted) room.noted = undefined;
      throw error;
    }
  }

  /**
   * As `leave`, for those who do not wait for it: so many at a time that others are served meanwhile, also where a whole node loses its
   * clients at once, or Redis was away for long.
   */
  leaveQuietly(seat: Seat): void {
    this.#leaving.set(keyOf(seat), seat);
    this.#queued.add(seat);
    this.#leaveNext();
  }

  #leaveNext(): void {
    for (const seat of this.#queued) {
      if (this.#inTurn >= SLICE) return;
      this.#queued.delete(seat);
      // A newer leave of the same connection has it by now.
      if (this.#leaving.get(keyOf(seat)) !== seat) continue;
      this.#inTurn += 1;
      let hasTurn = true;
      const next = () => {
        if (hasTurn) this.#inTurn -= 1;
        hasTurn = false;
        this.#leaveNext();
      };
      // What is refused for long, for a reason of its own, must hold up no other.
      this.leave(seat, next).catch(this.#failed).finally(next);
    }
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
    this.#queued.clear();
  }

  #forget(seat: Seat): void {
    const room = this.#rooms.get(seat.room);
    // A newer join of the same connection has the seat now.
    if (room === undefined || (room.seats.get(seat.connection)?.request.attempt ?? 0) > seat.attempt) return;
    room.seats.delete(seat.connection);
    if (room.seats.size > 0) return;
    this.#rooms.delete(seat.room);
    this.#vacate(seat.room).catch(this.#failed);
  }

  /** After the join: who reviews the list beside it sees the member, or is undone by this. */
  #tellOccupied(name: string, room: SeatedRoom): void {
    if (room.occupied || this.#rooms.get(name) !== room) return;
    room.occupied = true;
    this.#occupancy.occupied(name);
  }

  /** In this order: should this node die in between, whoever clears up after it finds the room and reviews the list. */
  async #vacate(room: string): Promise<void> {
    await this.#occupancy.vacated(room);
    // Somebody may have come meanwhile: the index must go on having the room.
    if (this.#rooms.has(room)) return;
    try {
      await this.#index.forgetRoom(room);
    } catch (error) {
      // A room too many in the index does no harm: whoever sweeps it finds nobody of this node there.
      if (!isAway(error)) throw error;
    }
  }
}

function keyOf({ connection, room }: Seat): string {
  return `${connection} ${room}`;
}

function isAway(error: unknown): boolean {
  return error instanceof RoomcastError && error.code === "unavailable";
}

function nowS(): number {
  return Math.floor(performance.now() / 1_000);
}
