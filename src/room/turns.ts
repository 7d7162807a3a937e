/**
 * Shares out work that holds the event loop: so much of it has its turn, and the rest waits for a later turn, in its order.
 * Without it a thousand joins that share one reading would all encode their answers in the moment in which it is there,
 * and nothing else, a Redis that answers among it, would be heard for seconds.
 */
export class Turns {
  readonly #perTurn: number;
  readonly #waiting: { readonly amount: number; readonly go: () => void }[] = [];
  #taken = 0;
  #scheduled = false;

  /** `perTurn`: how much is done in one turn; a larger piece has a turn of its own. */
  constructor(perTurn: number) {
    this.#perTurn = perTurn;
  }

  /** Resolves in the turn in which this piece may be done. */
  take(amount: number): Promise<void> {
    this.#schedule();
    if (this.#waiting.length === 0 && this.#fits(amount)) {
      this.#taken += amount;
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#waiting.push({ amount, go: resolve }));
  }

  #fits(amount: number): boolean {
    return this.#taken === 0 || this.#taken + amount <= this.#perTurn;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#next());
  }

  #next(): void {
    this.#scheduled = false;
    this.#taken = 0;
    for (let first = this.#waiting[0]; first !== undefined && this.#fits(first.amount); first = this.#waiting[0]) {
      this.#waiting.shift();
      this.#taken += first.amount;
      first.go();
    }
    if (this.#taken > 0) this.#schedule();
  }
}
