/** A steady rate, and how many may come at once after a quiet time. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** The furthest moment that a refused request is told to come again at, in milliseconds: more are refused than wait for it. */
const MOST_AHEAD_MS = 10_000;

const monotonicMs = (): number => performance.now();

/**
 * One budget (docs/decisions/0002-rate-limits.md says why it is not a library's). It is one number: the moment at which
 * its burst would be whole again. So there is no timer and no key that could outlive its owner, and `take` answers at
 * once, which keeps a connection's requests in their order.
 *
 * Many that are refused at once are told moments one after the other, at the rate: whoever comes again then finds what was
 * free for it. Told the same moment, they would all come at once, and all but one be refused again.
 */
export class Budget {
  readonly #rate: Rate | "off";
  readonly #now: () => number;
  #wholeAt = 0;
  /** The moment that was told to the last one who was refused. */
  #toldAt = 0;

  /** `now`: a clock in milliseconds that never runs backwards. */
  constructor(rate: Rate | "off", now: () => number = monotonicMs) {
    this.#rate = rate;
    this.#now = now;
  }

  /** Takes so many, or answers in how many milliseconds to come again for them; then nothing was taken. At most a burst. */
  take(count = 1): number | undefined {
    if (this.#rate === "off") return undefined;
    const { perSecond, burst } = this.#rate;
    const intervalMs = 1000 / perSecond;
    const now = this.#now();
    const wholeAt = Math.max(this.#wholeAt, now);
    const early = wholeAt - now - (burst - count) * intervalMs;
    if (early > 0) {
      this.#toldAt = Math.min(Math.max(now + early, this.#toldAt + count * intervalMs), now + MOST_AHEAD_MS);
      return Math.ceil(Math.max(early, this.#toldAt - now));
    }
    this.#wholeAt = wholeAt + count * intervalMs;
    return undefined;
  }

  /** How many could be taken at once now, and when the burst is whole again, in milliseconds. */
  state(): { left: number; wholeInMs: number } {
    if (this.#rate === "off") return { left: Number.POSITIVE_INFINITY, wholeInMs: 0 };
    const { perSecond, burst } = this.#rate;
    const wholeInMs = Math.max(0, this.#wholeAt - this.#now());
    return { left: Math.max(0, Math.floor(burst - (wholeInMs * perSecond) / 1000)), wholeInMs };
  }
}
