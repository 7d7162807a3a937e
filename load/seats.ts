export interface Seat {
  readonly room: string;
  /** Nobody else had sat in this room before. */
  readonly isFirst: boolean;
  /** How many seats of the room are taken at this moment. */
  taken(): number;
  free(): void;
}

/** Fills rooms of `size` one after the other; a seat that gets free goes to whoever comes next, so that rooms live on. */
export class Seats {
  readonly #prefix: string;
  readonly #taken: number[] = [];

  /** `prefix`: what every room's name begins with. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  take(size: number): Seat {
    const open = this.#taken.findIndex((members) => members < size);
    const at = open === -1 ? this.#taken.length : open;
    const isFirst = this.#taken[at] === undefined;
    const taken = () => this.#taken[at] ?? 0;
    this.#taken[at] = taken() + 1;
    const free = () => {
      this.#taken[at] = taken() - 1;
    };
    return { room: `${this.#prefix}${at}`, isFirst, taken, free };
  }
}
