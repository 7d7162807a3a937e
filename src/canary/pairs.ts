/** Canary messages that took longer than this from the log to a node count as not delivered, in milliseconds. */
export const DEADLINE_MS = 2_000;
/** A node that has stored no canary message for so long is gone, and its pair with it, in milliseconds. */
export const GONE_AFTER_MS = 60_000;
/** Most nodes with pairs of their own; the others are summed up. */
const MOST_PAIRS = 100;
const OTHER = "_other";
/** Most messages that were heard and are not compared with the log yet: minutes of them. */
const MOST_HEARD = 50_000;
/** So many comparisons in a row must find most of the senders unheard. */
const FAILING_AFTER = 3;

/** What one node hears of another one, or of itself. */
export interface Pair {
  /** Canary messages in the log, and those of them that were heard within the deadline. */
  expected: number;
  delivered: number;
  /** The longest way from the log to this node since the comparison before the last one, in milliseconds. */
  lagMs: number;
  /** Of the last one in the log, by the store's clock. */
  lastTs: number;
}

/** A canary message as the log has it. */
export interface Stored {
  readonly from: string;
  readonly seq: number;
  /** Unix milliseconds, by the store's clock. */
  readonly ts: number;
}

/** What this node was to hear, by the log, and what it heard: exact, whatever happened to its subscription. */
export class CanaryPairs {
  readonly #pairs = new Map<string, Pair>();
  /** How long each message took to be heard, by `seq`, in milliseconds. */
  readonly #heard = new Map<number, number>();
  #unheardInARow = 0;

  /** By the sender's name. */
  entries(): Iterable<readonly [string, Readonly<Pair>]> {
    return this.#pairs.entries();
  }

  /** Most of the senders go unheard: it is this node that does not hear. */
  get failing(): boolean {
    return this.#unheardInARow >= FAILING_AFTER;
  }

  heard(seq: number, lagMs: number): void {
    this.#heard.set(seq, lagMs);
    if (this.#heard.size <= MOST_HEARD) return;
    for (const oldest of this.#heard.keys()) {
      this.#heard.delete(oldest);
      break;
    }
  }

  /** What the log holds since the last comparison; each was stored longer than the deadline before `now`, by its clock. */
  compare(stored: readonly Stored[], now: number): void {
    const missed = new Set<string>();
    for (const pair of this.#pairs.values()) pair.lagMs = 0;
    for (const { from, seq, ts } of stored) {
      const pair = this.#pairOf(from);
      const heard = this.#heard.get(seq);
      this.#heard.delete(seq);
      pair.expected += 1;
      pair.lagMs = Math.max(pair.lagMs, heard ?? now - ts);
      pair.lastTs = ts;
      if (heard !== undefined && heard <= DEADLINE_MS) pair.delivered += 1;
      else missed.add(from);
    }
    for (const [from, { lastTs }] of this.#pairs) if (now - lastTs > GONE_AFTER_MS) this.#pairs.delete(from);
    const senders = new Set(stored.map(({ from }) => from)).size;
    if (senders > 0) this.#unheardInARow = missed.size > senders / 2 ? this.#unheardInARow + 1 : 0;
  }

  /** The log goes on from elsewhere: what was heard is not in it. */
  restart(): void {
    this.#heard.clear();
  }

  #pairOf(from: string): Pair {
    const name = this.#pairs.has(from) || this.#pairs.size < MOST_PAIRS ? from : OTHER;
    const pair = this.#pairs.get(name) ?? { expected: 0, delivered: 0, lagMs: 0, lastTs: 0 };
    this.#pairs.set(name, pair);
    return pair;
  }
}
