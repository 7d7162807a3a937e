import { randomBytes } from "node:crypto";

const RANDOM_BYTES = 9;

/**
 * One life of a node, unlike any other: what it writes is told apart from what a node of the same name left behind. A
 * node that was taken for dead goes on under a new one.
 */
export class Incarnation {
  #current = randomId();

  get current(): string {
    return this.#current;
  }

  renew(): void {
    this.#current = randomId();
  }
}

function randomId(): string {
  return randomBytes(RANDOM_BYTES).toString("base64url");
}
