import type { ServerResponse } from "node:http";
import { Unread } from "./unread.ts";

/**
 * Answers to one client's polls that the operating system has not taken whole. There may be several: a client may poll again by
 * another TCP connection, or go on by a websocket, and leave those before unread.
 */
export class PollAnswers {
  readonly #bytes = new Map<ServerResponse, number>();

  /** One more, of so many bytes. */
  add(answer: ServerResponse, bytes: number): void {
    this.#bytes.set(answer, bytes);
    // Told once all of it was taken, too.
    answer.once("close", () => this.#bytes.delete(answer));
  }

  /** Of all of them. */
  get bytes(): number {
    let sum = 0;
    for (const bytes of this.#bytes.values()) sum += bytes;
    return sum;
  }

  /** For when nobody else counts them any more. */
  *unread(): Iterable<Unread> {
    // One that waits behind another has no socket of its own yet.
    for (const answer of this.#bytes.keys()) yield new Unread(answer.req.socket, answer);
  }

  cutOff(): void {
    for (const answer of this.#bytes.keys()) answer.destroy();
  }
}
