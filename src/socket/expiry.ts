/** Clients hear this long before their token ends, in milliseconds. */
const WARNING_MS = 60_000;
/** So late may a warning or an end be, in milliseconds: nobody is looked at more often, however many tokens end. */
const LATE_MS = 500;
/** The wall clock may be set, or a machine be suspended: it is read this often at least, in milliseconds. */
const CLOCK_MS = 5_000;

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
 * Warns of the ends of tokens, and tells of them. One timer looks at everybody once the first of them has something to
 * hear: a timer for each is 300 bytes that an idle client keeps, and a look at 20,000 takes less than a millisecond once
 * it is compiled (docs/performance.md).
 */
export class Expiries {
  readonly #everybody: () => Iterable<Expiring>;
  #timer: NodeJS.Timeout | undefined;
  /** When the first has something to hear, by the wall clock. */
  #dueAt = Number.POSITIVE_INFINITY;

  /** `everybody`: whom there is at that moment; somebody may leave while it is read. */
  constructor(everybody: () => Iterable<Expiring>) {
    this.#everybody = everybody;
  }

  /** Somebody came, or has another token. */
  note(one: Expiring): void {
    const dueAt = dueOf(one);
    if (dueAt >= this.#dueAt) return;
    this.#dueAt = dueAt;
    this.#wait();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#dueAt = Number.NEGATIVE_INFINITY;
  }

  #wait(): void {
    clearTimeout(this.#timer);
    const inMs = Math.min(CLOCK_MS, Math.max(LATE_MS, this.#dueAt - Date.now()));
    this.#timer = setTimeout(() => this.#look(), inMs).unref();
  }

  #look(): void {
    const now = Date.now();
    if (this.#dueAt <= now) {
      this.#dueAt = Number.POSITIVE_INFINITY;
      for (const one of this.#everybody()) {
        tell(one, now);
        this.#dueAt = Math.min(this.#dueAt, dueOf(one));
      }
    }
    if (this.#dueAt < Number.POSITIVE_INFINITY) this.#wait();
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
