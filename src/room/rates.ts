/** What is counted, per connection: each kind has a budget of its own. */
export type RateKind = "join" | "send" | "signal" | "read" | "state" | "moderate";

/** A steady rate, and how many requests may come at once after a quiet time. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

export type RateLimits = Readonly<Record<RateKind, Rate>>;

const monotonicMs = (): number => performance.now();

/**
 * One connection's budgets (docs/decisions/0002-rate-limits.md says why they are not a library's).
 *
 * Each kind is one number: the moment at which its burst would be whole again. So there is no timer and no key that
 * could outlive the connection, and `take` answers at once, which keeps a connection's requests in their order.
 */
export class Rates {
  readonly #limits: RateLimits | "off";
  readonly #now: () => number;
  readonly #wholeAt: Record<RateKind, number> = { join: 0, send: 0, signal: 0, read: 0, state: 0, moderate: 0 };

  /** `now`: a clock in milliseconds that never runs backwards. */
  constructor(limits: RateLimits | "off", now: () => number = monotonicMs) {
    this.#limits = limits;
    this.#now = now;
  }

  /** Takes one from the budget, or answers in how many milliseconds there will be one; then nothing was taken. */
  take(kind: RateKind): number | undefined {
    if (this.#limits === "off") return undefined;
    const { perSecond, burst } = this.#limits[kind];
    const intervalMs = 1000 / perSecond;
    const now = this.#now();
    const wholeAt = Math.max(this.#wholeAt[kind], now);
    const early = wholeAt - now - (burst - 1) * intervalMs;
    if (early > 0) return Math.ceil(early);
    this.#wholeAt[kind] = wholeAt + intervalMs;
    return undefined;
  }
}
