import type { Response } from "express";
import { RoomcastError } from "../errors.ts";
import { Budget, type Rate } from "../room/budget.ts";

/** The name of the one policy in the headers. */
const POLICY = '"api"';

/**
 * What each API key may ask of this node: a steady rate, and a burst after a quiet time. Answers tell it by the headers of
 * draft-ietf-httpapi-ratelimit-headers-10: the quota is the burst, its window the time in which it is whole again.
 */
export class ApiRates {
  readonly #rate: Rate | "off";
  readonly #now: (() => number) | undefined;
  /** As many as there are keys. */
  readonly #budgets = new Map<string, Budget>();

  /** `now`: a clock in milliseconds that never runs backwards. */
  constructor(rate: Rate | "off", now?: () => number) {
    this.#rate = rate;
    this.#now = now;
  }

  /** Takes so many requests from a key's budget, and puts what is left in the headers. Throws `rate_limited`. */
  take(key: string, count: number, response: Pick<Response, "set">): void {
    if (this.#rate === "off") return;
    const { perSecond, burst } = this.#rate;
    const budget = this.#budgets.get(key) ?? new Budget(this.#rate, this.#now);
    this.#budgets.set(key, budget);
    const retryAfterMs = budget.take(count);
    const { left, wholeInMs } = budget.state();
    response.set("RateLimit-Policy", `${POLICY};q=${burst};w=${Math.ceil(burst / perSecond)}`);
    response.set("RateLimit", `${POLICY};r=${left};t=${Math.ceil(wholeInMs / 1_000)}`);
    if (retryAfterMs === undefined) return;
    throw new RoomcastError("rate_limited", "this API key has asked too much of this node: slow down", {
      retryAfterMs,
    });
  }
}
