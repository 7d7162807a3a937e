import { setImmediate as nextTurn } from "node:timers/promises";

/** How often what connections are owed is added up while any owes, in milliseconds. */
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
 * until the others are within it. Each one's own bound is its outlet's business. Most connections owe nothing, and are not
 * looked at.
 */
export class OutboundBudget {
  readonly #maxBytes: number;
  readonly #debtors = new Set<Debtor>();
  #timer: NodeJS.Timeout | undefined;
  #owed = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** What all of them owed together when they were looked at last, in bytes. */
  get owed(): number {
    return this.#owed;
  }

  /** It owes something by now: it is looked at until it does not, or is released. */
  owes(debtor: Debtor): void {
    this.#debtors.add(debtor);
    this.#timer ??= setTimeout(() => void this.#look(), LOOK_MS).unref();
  }

  /** The connection is gone, and what it owed with it. */
  release(debtor: Debtor): void {
    this.#debtors.delete(debtor);
  }

  /** Closes as many as it takes; returns how many that were. */
  enforce(): number {
    const owing = [...this.#debtors].map((debtor) => ({ debtor, owed: debtor.owed }));
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
    let [sum, seen] = [0, 0];
    for (const debtor of [...this.#debtors]) {
      const { owed } = debtor;
      sum += owed;
      if (owed === 0) this.#debtors.delete(debtor);
      seen += 1;
      if (seen % PER_TURN === 0) await nextTurn();
    }
    this.#owed = sum;
    if (sum > this.#maxBytes) this.enforce();
    this.#timer = this.#debtors.size > 0 ? setTimeout(() => void this.#look(), LOOK_MS).unref() : undefined;
  }

  stop(): void {
    this.#debtors.clear();
    clearTimeout(this.#timer);
  }
}
