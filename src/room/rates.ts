import type { Feed } from "../feed/feed.ts";
import { Budget, type Rate } from "./budget.ts";

/** What is counted, per connection: each kind has a budget of its own. */
export type RateKind = "join" | "send" | "signal" | "read" | "state" | "moderate" | "renew";

export type RateLimits = Readonly<Record<RateKind, Rate>>;

/** One connection's budgets; each begins to count when it is first needed. */
export class Rates {
  readonly #limits: RateLimits | "off";
  readonly #now: (() => number) | undefined;
  #budgets: Partial<Record<RateKind, Budget>> | undefined;

  /** `now`: a clock in milliseconds that never runs backwards. */
  constructor(limits: RateLimits | "off", now?: () => number) {
    this.#limits = limits;
    this.#now = now;
  }

  /** Takes one from the budget, or answers in how many milliseconds there will be one; then nothing was taken. */
  take(kind: RateKind): number | undefined {
    if (this.#limits === "off") return undefined;
    this.#budgets ??= {};
    this.#budgets[kind] ??= new Budget(this.#limits[kind], this.#now);
    return this.#budgets[kind].take();
  }
}

/** What everybody on this node together may send to one room. */
export interface RoomRateLimits {
  readonly send: Rate;
  readonly signal: Rate;
}

/** The budgets of rooms: they live as long as the room's feed on this node. */
export class RoomRates {
  readonly #limits: RoomRateLimits | "off";
  readonly #budgets = new WeakMap<Feed, Record<keyof RoomRateLimits, Budget>>();

  constructor(limits: RoomRateLimits | "off") {
    this.#limits = limits;
  }

  /** As `Rates.take`, for the room of this feed. */
  take(feed: Feed, kind: keyof RoomRateLimits): number | undefined {
    if (this.#limits === "off") return undefined;
    let budgets = this.#budgets.get(feed);
    if (budgets === undefined) {
      budgets = { send: new Budget(this.#limits.send), signal: new Budget(this.#limits.signal) };
      this.#budgets.set(feed, budgets);
    }
    return budgets[kind].take();
  }
}
