/** What a failover may lose is younger than this, in milliseconds: a replica, or a file, is seconds behind. */
const LOSABLE_MS = 60_000;

/** What a comparison with the store asks about presence. */
export interface VersionQuestion {
  /** The store's version is put past this one where it is behind. */
  readonly version: number;
  /** Members are told where presence stands, whatever the number is. */
  readonly recounts: boolean;
}

/**
 * What the answer means for members.
 * - `known`: nothing; `missed`: they are told where presence stands;
 * - `new line`: that too, and numbers that they know count for nothing any more.
 */
export type VersionAnswer = "known" | "missed" | "new line";

/** Which version of a room's presence the members on this node know of. */
export class PresenceVersion {
  #known = 0;
  /** When presence last changed: in whole seconds of `performance.now()`, which take no object. */
  #changedAtS = 0;
  #recounts = false;

  get isSure(): boolean {
    return !this.#recounts;
  }

  get known(): number {
    return this.#known;
  }

  /** The first join was told this one, or the channel brought it. */
  heard(version: number): void {
    this.#known = Math.max(this.#known, version);
    this.#changedAtS = nowS();
  }

  /** A join was told this one: false where others were told of later ones, which the next comparison tells it too. */
  covers(version: number): boolean {
    if (version >= this.#known) return true;
    this.#known = version;
    return false;
  }

  /**
   * The store may have lost changes, and counted others under their numbers since, so that no number shows it. False where
   * none is young enough for that.
   */
  recount(): boolean {
    if (this.#changedAtS * 1_000 < performance.now() - LOSABLE_MS) return false;
    this.#recounts = true;
    return true;
  }

  question(): VersionQuestion {
    return { version: this.#recounts ? this.#known + 1 : this.#known, recounts: this.#recounts };
  }

  /** `isNewEpoch`: the room was lost, and counts from the beginning. */
  compare(asked: VersionQuestion, version: number, isNewEpoch: boolean): VersionAnswer {
    const isNewLine = isNewEpoch && version < this.#known;
    if (!asked.recounts && !isNewLine && version <= this.#known) return "known";
    if (asked.recounts) this.#recounts = false;
    this.#changedAtS = nowS();
    this.#known = isNewLine ? version : Math.max(version, this.#known);
    return isNewLine ? "new line" : "missed";
  }
}

function nowS(): number {
  return Math.floor(performance.now() / 1_000);
}
