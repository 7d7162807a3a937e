/** A join that was answered by the store before a failover is over by then, in seconds: the deadline of a request is 2 s by default. */
const JOINED_BEFORE_S = 5;

/** What a comparison with the store asks about presence. */
export interface VersionQuestion {
  /** The store's version is put past this one where it is behind. */
  readonly version: number;
  /** Members are told where presence stands, whatever the number is: which of the recounts this is, and 0 where it is none. */
  readonly recount: number;
}

/**
 * What an answer means for members.
 * - `known`: nothing; `missed`: those who do not know the version are told where presence stands;
 * - `recounted`: all are.
 */
export type VersionAnswer = "known" | "missed" | "recounted";

/**
 * How the last change stands to the messages of the room, which come in the order in which the store wrote them.
 * - `last`: nothing was heard behind it; `followed`: a message was: a store that lacks the change lacks the message too, and
 *   that shows by itself; `apart`: it did not come by the channel, or the channel broke behind it.
 */
type LastChange = "last" | "followed" | "apart";

/** Which versions of a room's presence the members on this node know of. */
export class PresenceVersion {
  /** All of them do, if the channel brings what it should. */
  #known = 0;
  /** Some of them do, by a join in whichever epoch, or because they asked. */
  #furthest = 0;
  /** When a version was last heard of: in whole seconds of `performance.now()`, which take no object. */
  #changedAtS = 0;
  #lastChange: LastChange = "apart";
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

  /** The channel brought this one. True where others before it were missed. */
  heard(version: number): boolean {
    const afterGap = this.#known > 0 && version > this.#known + 1;
    this.begin(version);
    this.#lastChange = "last";
    this.#changedAtS = nowS();
    return afterGap;
  }

  /** The first join was told this one. */
  begin(version: number): void {
    this.reached(version);
    this.#known = Math.max(this.#known, version);
  }

  /** Somebody has this one from the store. */
  reached(version: number): void {
    if (version <= this.#furthest) return;
    this.#furthest = version;
    this.#lastChange = "apart";
    this.#changedAtS = nowS();
  }

  /** The channel brought a message. */
  followed(): void {
    if (this.#lastChange === "last") this.#lastChange = "followed";
  }

  /** The channel was broken, and brings what comes from now on. */
  resumed(): void {
    if (this.#lastChange === "last") this.#lastChange = "apart";
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
   * The store may have lost changes, and counted others under their numbers since, so that no number shows it. Nothing is
   * wanted where none was heard of after `keptUntil`, by `performance.now()`, or the last one cannot be missing alone.
   */
  recount(keptUntil: number): void {
    this.#recountedAtS = nowS();
    if (this.#lastChange === "followed" || (this.#changedAtS + 1) * 1_000 < keptUntil) return;
    this.#wanted += 1;
  }

  question(): VersionQuestion {
    return { version: this.#furthest, recount: this.#wanted > this.#answered ? this.#wanted : 0 };
  }

  /** Takes the store's answer. */
  compare(asked: VersionQuestion, version: number): VersionAnswer {
    const isRecount = asked.recount > this.#answered;
    if (isRecount) this.#answered = asked.recount;
    if (version > this.#known) this.begin(version);
    else if (!isRecount) return "known";
    return isRecount ? "recounted" : "missed";
  }
}

function nowS(): number {
  return Math.floor(performance.now() / 1_000);
}
