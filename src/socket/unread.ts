import type { Socket as TcpSocket } from "node:net";
import type { Debtor } from "./outbound-budget.ts";

/** How long it may wait for its client to read it, in milliseconds: as long as `ws` waits for the answer to its close frame. */
const READ_WITHIN_MS = 30_000;

/**
 * What a client that is gone for us has left unread in a TCP connection: a last answer, or much more. It is held in memory until it
 * is read or the TCP connection ends, and counts for the node's bound until then.
 */
export class Unread implements Debtor {
  readonly #socket: TcpSocket;
  readonly #endsAt = performance.now() + READ_WITHIN_MS;

  constructor(socket: TcpSocket) {
    this.#socket = socket;
  }

  get owed(): number {
    return this.#socket.destroyed ? 0 : this.#socket.writableLength;
  }

  bound(): void {
    if (performance.now() > this.#endsAt) this.close();
  }

  close(): void {
    this.#socket.destroy();
  }
}
