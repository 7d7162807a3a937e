import type { Entry } from "../log/room-log.ts";
import type { PresenceChange } from "../presence/presence.ts";

/** What every feed has while nobody needs more: two lists fewer for each room. */
const NOTHING: never[] = [];
Object.freeze(NOTHING);
/** Presence changes kept for joins under way; one that is dropped shows in the version, and `getMembers` mends it. */
const CHANGES = 200;

/**
 * What a feed heard while somebody needs it: joins under way, readers catching up, a repair. One buffer serves all of
 * them. It is bounded in bytes and forgets the oldest first; the chain of entries shows that, and the log is read instead.
 */
export class Tail {
  readonly #maxBytes: number;
  #users = 0;
  #entries: Entry[] = NOTHING;
  #changes: PresenceChange[] = NOTHING;
  #changesSoFar = 0;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Counts the changes that came while somebody needed them: `changesAfter` has those that come from now on. */
  get mark(): number {
    return this.#changesSoFar;
  }

  changesAfter(mark: number): readonly PresenceChange[] {
    const dropped = this.#changesSoFar - this.#changes.length;
    return mark <= dropped ? this.#changes : this.#changes.slice(mark - dropped);
  }

  /** Keeps from now on, until `release` was called as often as `keep`. */
  keep(): void {
    if (this.#users === 0) {
      this.#entries = [];
      this.#changes = [];
    }
    this.#users += 1;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users === 0) {
      this.#entries = NOTHING;
      this.#changes = NOTHING;
      this.#bytes = 0;
    }
  }

  entry(entry: Entry): void {
    if (this.#users === 0) return;
    this.#entries.push(entry);
    this.#bytes += entry.body.length;
    if (this.#bytes <= this.#maxBytes) return;
    // Half at once: shifting one by one would make a busy room quadratic.
    const dropped = this.#entries.splice(0, Math.ceil(this.#entries.length / 2));
    for (const old of dropped) this.#bytes -= old.body.length;
  }

  /** What comes next may not follow on the changes that were kept, or count in another line of versions. */
  forgetChanges(): void {
    if (this.#users > 0) this.#changes = [];
  }

  change(change: PresenceChange): void {
    if (this.#users === 0) return;
    this.#changes.push(change);
    this.#changesSoFar += 1;
    if (this.#changes.length > CHANGES) this.#changes.splice(0, CHANGES / 2);
  }
}
