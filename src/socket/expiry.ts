/** Clients hear this long before their token ends, in milliseconds. */
const WARNING_MS = 60_000;
/** So late may a warning or an end be, in milliseconds. */
const LOOK_EVERY_MS = 500;

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
 * Warns of the ends of tokens, and tells of them. One timer looks at everybody: a timer for each is 300 bytes that an idle
 * client keeps, and a look at 20,000 takes less than a millisecond once it is compiled (docs/performance.md).
 */
export class Expiries {
  readonly #everybody: () => Iterable<Expiring>;
  readonly #timer: NodeJS.Timeout;

  /** `everybody`: whom there is at that moment; somebody may leave while it is read. */
  constructor(everybody: () => Iterable<Expiring>) {
    this.#everybody = everybody;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = Date.now();
    for (const one of this.#everybody()) {
      const { expiresAt } = one;
      if (expiresAt - now > WARNING_MS) continue;
      if (expiresAt <= now) {
        one.expired();
      } else if (one.warnedOf !== expiresAt) {
        one.warnedOf = expiresAt;
        one.expiring(expiresAt);
      }
    }
  }
}
