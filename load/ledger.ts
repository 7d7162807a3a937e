import type { Message, WirePosition } from "../src/protocol.ts";

/** The last messages whose ids are kept for the comparison with the log: as many as one page of history has. */
const KEPT_IDS = 500;

/** What is wrong with one stream of messages. */
export interface Faults {
  /** In the log, and not received. */
  readonly missing: number;
  /** Received more than once. */
  readonly doubled: number;
  /** Received after a later one. */
  readonly outOfOrder: number;
}

/**
 * What one member received in one unbroken stream: from the ack of a join that started anew to the next `resync`. It keeps
 * the gaps and the last ids, and so costs the same however long the stay.
 */
export class Ledger {
  readonly epoch: string;
  readonly #gaps = new Set<number>();
  readonly #ids = new Map<number, string>();
  #last: number;
  #doubled = 0;
  #outOfOrder = 0;

  /** `position`: where the stream starts; everything after it is due. */
  constructor({ epoch, seq }: WirePosition) {
    this.epoch = epoch;
    this.#last = seq;
  }

  /** The highest number received. */
  get last(): number {
    return this.#last;
  }

  /** False where this message had been received before. */
  take({ seq, id }: Pick<Message, "seq" | "id">): boolean {
    if (seq <= this.#last) {
      if (!this.#gaps.delete(seq)) {
        this.#doubled += 1;
        return false;
      }
      this.#outOfOrder += 1;
    }
    for (let skipped = this.#last + 1; skipped < seq; skipped++) this.#gaps.add(skipped);
    this.#last = Math.max(this.#last, seq);
    this.#ids.set(seq, id);
    this.#ids.delete(seq - KEPT_IDS);
    return true;
  }

  /** What is wrong with the stream as far as it came, by its numbers alone. */
  faults(): Faults {
    return { missing: this.#gaps.size, doubled: this.#doubled, outOfOrder: this.#outOfOrder };
  }

  /** What is wrong with it beside the log: `end` is the highest number that is due, `page` the log's last messages. */
  faultsBeside(end: number, page: readonly Pick<Message, "seq" | "id">[]): Faults {
    const behind = Math.max(0, end - this.#last);
    // Another message under the log's number: the log's own was not received.
    const others = page.filter(({ seq, id }) => (this.#ids.get(seq) ?? id) !== id);
    return { ...this.faults(), missing: this.#gaps.size + behind + others.length };
  }
}
