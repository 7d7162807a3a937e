/** Fills rooms of `size` one after the other; a seat that gets free goes to whoever comes next, so that rooms live on. */
export class Seats {
  readonly #prefix: string;
  readonly #taken: number[] = [];

  /** `prefix`: what every room's name begins with. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  take(size: number): { room: string; free(): void } {
    const open = this.#taken.findIndex((members) => members < size);
    const at = open === -1 ? this.#taken.length : open;
    this.#taken[at] = (this.#taken[at] ?? 0) + 1;
    const free = () => {
      this.#taken[at] = (this.#taken[at] ?? 0) - 1;
    };
    return { room: `${this.#prefix}${at}`, free };
  }
}
