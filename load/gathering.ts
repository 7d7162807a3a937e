/** Virtual users who begin together, once every one of them has come or failed to. */
export class Gathering {
  readonly #everybody = Promise.withResolvers<void>();
  #awaited: number | undefined;

  /** Resolves when as many as `expected` have come or failed. To be called once by each who came. */
  come(expected: number): Promise<void> {
    this.#tick(expected);
    return this.#everybody.promise;
  }

  /** One of `expected` will not come. */
  fail(expected: number): void {
    this.#tick(expected);
  }

  #tick(expected: number): void {
    this.#awaited = (this.#awaited ?? expected) - 1;
    if (this.#awaited === 0) this.#everybody.resolve();
  }
}
