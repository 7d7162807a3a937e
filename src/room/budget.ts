/** A steady rate, and how many may come at once after a quiet time. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

const monotonicMs = (): number => performance.now();

/**
 * One budget (docs/decisions/0002-rate-limits.md says why it is not a library's). It is one number: the moment at which
 * its burst would be whole again. So there is no timer and no key that could outlive its owner, and `take` answers at
 * once, which keeps a connection's requests in their order.
 */
export class Budget {
  readonly #rate: Rate | "off";
  readonly #now: () => number;
  #wholeAt = 0;

  /** `now`: a clock in milliseconds that never runs backwards. */
  constructor(rate: Rate | "off", now: () => number = monotonicMs) {
    this.#rate = rate;
    this.#now = now;
  }

  /** Takes one, or answers in how many milliseconds there will be one; then nothing was taken. */
  take(): number | undefined {
    if (this.#rate === "off") return undefined;
    const { perSecond, burst } = this.#rate;
    const intervalMs = 1000 / perSecond;
    const now = this.#now();
    const wholeAt = Math.max(this.#wholeAt, now);
    const early = wholeAt - now - (burst - 1) * intervalMs;
    if (early > 0) return Math.ceil(early);
    this.#wholeAt = wholeAt + intervalMs;
    return undefined;
  }
}
