/** What has been started, ended in the opposite order, once. */
export class Started {
  readonly #ends: (() => Promise<void>)[] = [];
  #ending: Promise<void> | undefined;

  add(end: () => Promise<void>): void {
    this.#ends.unshift(end);
  }

  get isEnding(): boolean {
    return this.#ending !== undefined;
  }

  end(): Promise<void> {
    this.#ending ??= this.#endAll();
    return this.#ending;
  }

  async #endAll(): Promise<void> {
    for (const end of this.#ends) await end();
  }
}
