import { LOSABLE_MS } from "../presence/presence.ts";

/** A join that was answered by the store before a failover is over by then, in seconds: requests have a deadline of 2 s. */
const JOINED_BEFORE_S = 5;

/** What a comparison with the store asks about presence. */
export interface VersionQuestion {
  /** The store's version is put past this one where it is behind. */
  readonly version: number;
  /** Members are told where presence stands, whatever the number is: which of the recounts this is, and 0 where it is none. */
  readonly recount: number;
}

/** Which versions of a room's presence the members on this node know of. */
export class PresenceVersion {
  /** All of them do, if the channel brings what it should. */
  #known = 0;
  /** Some of them do, by a join in whichever epoch. */
  #furthest = 0;
  /** When a version was last heard of: in whole seconds of `performance.now()`, which take no object. */
  #changedAtS = 0;
  /** Recounts that were wanted, and how many of them were answered. */
  #wanted = 0;
  #answered = 0;
  /** In the same seconds. */
  #recountedAtS = -JOINED_BEFORE_S;

  get known(): number {
    return this.#known;
  }

  get furthest(): number {
    return this.#furthest;
  }

  /** Whether the next comparison has nothing to tell where the store has the version that it asks about. */
  get isSure(): boolean {
    return this.#wanted === this.#answered && this.#known === this.#furthest;
  }

  /** The channel brought this one, or the first join was told it. */
  heard(version: number): void {
    this.#known = Math.max(this.#known, version);
    this.reached(version);
  }

  /** Somebody has this one from the store. */
  reached(version: number): void {
    this.#furthest = Math.max(this.#furthest, version);
    this.#changedAtS = nowS();
  }

  /** A join was told this one. Soon after a failover it may be a number of the store before, and mean something else. */
  joined(version: number): void {
    this.reached(version);
    if (nowS() - this.#recountedAtS < JOINED_BEFORE_S) this.#wanted += 1;
  }

  /** Somebody knows no more than this one: false where others do, which the next comparison tells it too. */
  covers(version: number): boolean {
    if (version >= this.#known) return true;
    this.#known = version;
    return false;
  }

  /**
   * The store may have lost changes, and counted others under their numbers since, so that no number shows it. False where
   * none is young enough for that. `since`: when the store last was what it had been, by `performance.now()`.
   */
  recount(since: number): boolean {
    this.#recountedAtS = nowS();
    if (this.#changedAtS * 1_000 < since - LOSABLE_MS) return false;
    this.#wanted += 1;
    return true;
  }

  question(): VersionQuestion {
    const recounts = this.#wanted > this.#answered;
    return { version: recounts ? this.#furthest + 1 : this.#furthest, recount: recounts ? this.#wanted : 0 };
  }

  /** Takes the store's answer: whether members are to be told where presence stands. */
  compare(asked: VersionQuestion, version: number): boolean {
    if (asked.recount === 0 && version <= this.#known) return false;
    this.#answered = Math.max(this.#answered, asked.recount);
    this.#known = Math.max(version, this.#known);
    this.reached(version);
    return true;
  }
}

function nowS(): number {
  return Math.floor(performance.now() / 1_000);
}
