import type { Ends } from "./bans.ts";

/** Who is blocked, as this node knows it: asked at every connect, also while Redis is away. */
export class Blocks {
  #ends = new Map<string, number>();

  /** The end of the block that holds now, in Unix milliseconds. */
  endOf(user: string): number | undefined {
    const end = this.#ends.get(user);
    if (end === undefined || end > Date.now()) return end;
    this.#ends.delete(user);
    return undefined;
  }

  add(user: string, end: number): void {
    this.#ends.set(user, end);
  }

  remove(user: string): void {
    this.#ends.delete(user);
  }

  /** What the store knows now takes the place of everything. */
  replace(ends: Ends): void {
    this.#ends = new Map(ends);
  }
}
