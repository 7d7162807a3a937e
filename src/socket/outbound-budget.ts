/** How often what all connections are owed is added up, in milliseconds. */
const LOOK_MS = 500;

/** A connection that may owe. */
export interface Debtor {
  /** Bytes that it was sent and has not taken. */
  readonly owed: number;
  close(): void;
}

/**
 * What a node holds for all of its connections together is bounded: past the bound those that owe the most are closed,
 * until the others are within it. Each one's own bound is its outlet's business.
 */
export class OutboundBudget {
  readonly #maxBytes: number;
  readonly #debtors: () => Iterable<Debtor>;
  readonly #timer: NodeJS.Timeout;

  constructor(maxBytes: number, debtors: () => Iterable<Debtor>) {
    this.#maxBytes = maxBytes;
    this.#debtors = debtors;
    this.#timer = setInterval(() => this.enforce(), LOOK_MS).unref();
  }

  /** What all of them owe together, in bytes. */
  get owed(): number {
    let sum = 0;
    for (const { owed } of this.#debtors()) sum += owed;
    return sum;
  }

  /** Closes as many as it takes; returns how many that were. */
  enforce(): number {
    let sum = this.owed;
    if (sum <= this.#maxBytes) return 0;
    const owing = [...this.#debtors()].map((debtor) => ({ debtor, owed: debtor.owed }));
    owing.sort((a, b) => b.owed - a.owed);
    let closed = 0;
    for (const { debtor, owed } of owing) {
      if (sum <= this.#maxBytes) break;
      debtor.close();
      sum -= owed;
      closed += 1;
    }
    return closed;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
