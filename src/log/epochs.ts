import { randomBytes } from "node:crypto";

const RANDOM_BYTES = 9;

/** Makes the names of epochs: 13 to 20 characters of `A-Za-z0-9_-`, never one twice, without asking for randomness each time. */
export class Epochs {
  readonly #start = randomBytes(RANDOM_BYTES).toString("base64url");
  #made = 0;

  next(): string {
    this.#made += 1;
    return this.#start + this.#made.toString(36);
  }
}
