import type { Intervals } from "../intervals.ts";

/** Clients hear this long before their token ends, in milliseconds. */
const WARNING_MS = 60_000;
/** So late may a warning or an end be, in milliseconds. */
const LATE_MS = 500;

/** Somebody whose token ends at some time. Times are Unix milliseconds. */
export interface Expiring {
  /** The end of the token that it has now: a renewed one has another. */
  readonly expiresAt: number;
  /** The end that it was warned of, if it was. */
  warnedOf: number | undefined;
  expiring(expiresAt: number): void;
  expired(): void;
}

/**
 * Warns of the ends of tokens, and tells of them. Everybody is looked at once the first of them has something to hear: a
 * timer for each is 300 bytes that an idle client keeps, and a look at 20,000 takes less than a millisecond once it is
 * compiled (docs/performance.md).
 */
export class Expiries {
  readonly #everybody: () => Iterable<Expiring>;
  readonly #stop: () => void;
  /** When the first has something to hear, by the wall clock, which may be set. */
  #dueAt = Number.POSITIVE_INFINITY;

  /** `everybody`: whom there is at that moment; somebody may leave while it is read. */
  constructor(everybody: () => Iterable<Expiring>, intervals: Intervals) {
    this.#everybody = everybody;
    this.#stop = intervals.every(LATE_MS, () => this.#look());
  }

  /** Somebody came, or has another token. */
  note(one: Expiring): void {
    this.#dueAt = Math.min(this.#dueAt, dueOf(one));
  }

  stop(): void {
    this.#stop();
  }

  #look(): void {
    const now = Date.now();
    if (now < this.#dueAt) return;
    // Where a listener of somebody's end throws, all are looked at again.
    for (const one of this.#everybody()) tell(one, now);
    this.#dueAt = Number.POSITIVE_INFINITY;
    for (const one of this.#everybody()) this.note(one);
  }
}

/** Those whose token has ended leave. */
function tell(one: Expiring, now: number): void {
  const { expiresAt } = one;
  if (expiresAt - now > WARNING_MS) return;
  if (expiresAt <= now) {
    one.expired();
  } else if (one.warnedOf !== expiresAt) {
    one.warnedOf = expiresAt;
    one.expiring(expiresAt);
  }
}

function dueOf({ expiresAt, warnedOf }: Expiring): number {
  return warnedOf === expiresAt ? expiresAt : expiresAt - WARNING_MS;
}
