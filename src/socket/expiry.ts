/** Clients hear this long before their token ends, in milliseconds. */
const WARNING_MS = 60_000;
/** A Node timer past 24.8 days fires at once, so far-off moments are approached in steps, in milliseconds. */
const LONGEST_STEP_MS = 24 * 60 * 60 * 1_000;

export interface ExpiryEvents {
  expiring(expiresAt: number): void;
  expired(): void;
}

/** The end of a connection's token. `renew` moves it; `stop` when the connection is gone. Times are Unix milliseconds. */
export class Expiry {
  readonly #events: ExpiryEvents;
  #expiresAt: number;
  #warned = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(expiresAt: number, events: ExpiryEvents) {
    this.#events = events;
    this.#expiresAt = expiresAt;
    this.#arm();
  }

  renew(expiresAt: number): void {
    this.stop();
    this.#expiresAt = expiresAt;
    this.#warned = false;
    this.#arm();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #arm(): void {
    const left = Math.max(0, this.#expiresAt - Date.now());
    const next = left > WARNING_MS ? left - WARNING_MS : this.#warned ? left : 0;
    this.#timer = setTimeout(() => this.#tick(), Math.min(next, LONGEST_STEP_MS)).unref();
  }

  #tick(): void {
    const left = this.#expiresAt - Date.now();
    if (left <= 0) {
      this.#events.expired();
      return;
    }
    if (left <= WARNING_MS && !this.#warned) {
      this.#warned = true;
      this.#events.expiring(this.#expiresAt);
    }
    this.#arm();
  }
}
