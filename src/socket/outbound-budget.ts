import { setImmediate as nextTurn } from "node:timers/promises";

/** How often what all connections are owed is added up, in milliseconds. */
const LOOK_MS = 500;
/** Connections that are added up in one turn of the event loop: tens of thousands at once would hold it. */
const PER_TURN = 2_000;

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
  #looking = false;
  #owed = 0;

  constructor(maxBytes: number, debtors: () => Iterable<Debtor>) {
    this.#maxBytes = maxBytes;
    this.#debtors = debtors;
    this.#timer = setInterval(() => void this.#look(), LOOK_MS).unref();
  }

  /** What all of them owed together when they were looked at last, in bytes. */
  get owed(): number {
    return this.#owed;
  }

  /** Closes as many as it takes; returns how many that were. */
  enforce(): number {
    const owing = [...this.#debtors()].map((debtor) => ({ debtor, owed: debtor.owed }));
    let sum = owing.reduce((all, { owed }) => all + owed, 0);
    if (sum <= this.#maxBytes) return 0;
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

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    let [sum, seen] = [0, 0];
    for (const { owed } of this.#debtors()) {
      sum += owed;
      seen += 1;
      if (seen % PER_TURN === 0) await nextTurn();
    }
    this.#owed = sum;
    this.#looking = false;
    if (sum > this.#maxBytes) this.enforce();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
