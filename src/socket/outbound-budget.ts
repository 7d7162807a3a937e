import { setImmediate as nextTurn } from "node:timers/promises";
import type { Intervals } from "../intervals.ts";

/** How often those that owe something are looked at, in milliseconds. */
const LOOK_MS = 500;
/** How often all are, in milliseconds: not everything that a connection comes to owe passes its outlet, such as answers to pings. */
const LOOK_AT_ALL_MS = 10_000;
/** Connections that are looked at in one turn of the event loop: tens of thousands at once would hold it. */
const PER_TURN = 2_000;

/** A connection that may owe. */
export interface Debtor {
  /** Bytes that it was sent and has not taken. */
  readonly owed: number;
  /** Holds it to its own bound; `OutboundBudget.owes` is called where it owes something. */
  bound(): void;
  close(): void;
}

export interface OutboundBudgetOptions {
  readonly maxBytes: number;
  /** Whom there is at that moment. */
  readonly everybody: () => Iterable<Debtor>;
  readonly intervals: Intervals;
}

/**
 * What a node holds for all of its connections together is bounded: past the bound those that owe the most are closed,
 * until the others are within it. Each one's own bound is its outlet's business. Most connections owe nothing, and are
 * looked at only now and then.
 */
export class OutboundBudget {
  readonly #options: OutboundBudgetOptions;
  readonly #debtors = new Set<Debtor>();
  readonly #stops: readonly (() => void)[];
  #looking = false;
  #owed = 0;

  constructor(options: OutboundBudgetOptions) {
    this.#options = options;
    const { intervals, everybody } = options;
    this.#stops = [
      intervals.every(LOOK_AT_ALL_MS, () => void this.#look(new Set([...everybody(), ...this.#debtors]))),
      intervals.every(LOOK_MS, () => void this.#look(this.#debtors)),
    ];
  }

  /** What all of them owed together when they were looked at last, in bytes. */
  get owed(): number {
    return this.#owed;
  }

  /** It owes something by now: it is looked at until it does not, or is released. */
  owes(debtor: Debtor): void {
    this.#debtors.add(debtor);
  }

  /** The connection is gone, and what it owed with it. */
  release(debtor: Debtor): void {
    this.#debtors.delete(debtor);
  }

  /** Closes as many as it takes; returns how many that were. */
  enforce(): number {
    const { maxBytes } = this.#options;
    const owing = [...this.#debtors].map((debtor) => ({ debtor, owed: debtor.owed }));
    let sum = owing.reduce((all, { owed }) => all + owed, 0);
    if (sum <= maxBytes) return 0;
    owing.sort((a, b) => b.owed - a.owed);
    let closed = 0;
    for (const { debtor, owed } of owing) {
      if (sum <= maxBytes) break;
      debtor.close();
      sum -= owed;
      closed += 1;
    }
    return closed;
  }

  async #look(debtors: Iterable<Debtor>): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      let [sum, seen] = [0, 0];
      for (const debtor of [...debtors]) {
        const { owed } = debtor;
        sum += owed;
        if (owed === 0) this.#debtors.delete(debtor);
        else debtor.bound();
        seen += 1;
        if (seen % PER_TURN === 0) await nextTurn();
      }
      this.#owed = sum;
      if (sum > this.#options.maxBytes) this.enforce();
    } finally {
      this.#looking = false;
    }
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }
}
