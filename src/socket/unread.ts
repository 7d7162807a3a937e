import type { ServerResponse } from "node:http";
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
  readonly #answer: ServerResponse | undefined;
  readonly #endsAt = performance.now() + READ_WITHIN_MS;

  /** `answer`: the one that it is, by HTTP: it may wait behind others of its TCP connection, and others behind it. */
  constructor(socket: TcpSocket, answer?: ServerResponse) {
    this.#socket = socket;
    this.#answer = answer;
  }

  get owed(): number {
    return this.#isThere ? (this.#answer ?? this.#socket).writableLength : 0;
  }

  bound(): void {
    if (performance.now() > this.#endsAt) this.close();
  }

  close(): void {
    if (this.#isThere) this.#socket.destroy();
  }

  /** Behind an answer that was taken whole its TCP connection is used for others. */
  get #isThere(): boolean {
    return !this.#socket.destroyed && this.#answer?.writableFinished !== true;
  }
}
