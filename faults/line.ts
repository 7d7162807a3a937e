import type { Socket as TcpSocket } from "node:net";
import type { Socket } from "socket.io-client";
import { stockClient, type Transports } from "../test/support/client.ts";
import type { Journal } from "./journal.ts";

/** Longer than every promise: only a lost connection, or a broken promise, makes a request run into this. */
const ACK_TIMEOUT_MS = 6_000;
const RECONNECT_MS = { first: 50, most: 500 };
/** For a connection that is lost for good, longer than any run. */
const NEVER_MS = 86_400_000;

export type Answer<Reply> =
  | { readonly kind: "answered"; readonly reply: Reply }
  | { readonly kind: "lost" | "unanswered" };

interface Reply {
  readonly ok: boolean;
  readonly error?: { readonly code: string };
}

/** A stock client's connection, which can be cut, and whose TCP socket can be left unread. */
export class Line {
  readonly socket: Socket;
  readonly client: string;
  readonly #journal: Journal;
  #gone = false;

  constructor(client: string, journal: Journal, url: string, token: string, transports: Transports) {
    this.client = client;
    this.#journal = journal;
    this.socket = stockClient(url, token, {
      transports: [...transports],
      reconnectionDelay: RECONNECT_MS.first,
      reconnectionDelayMax: RECONNECT_MS.most,
    });
    this.socket.on("connect", () => this.#hurry());
  }

  /**
   * Sends a request on a connection that is open, and writes down how it went. `then` runs in the turn of the answer, also of one
   * that comes when nobody waits for it any more: a node that stood still has done what it was asked for.
   */
  request<R extends Reply>(
    name: string,
    payload: object,
    then: (reply: R) => void = () => undefined,
  ): Promise<Answer<R>> {
    const { requests } = this.#journal;
    const at = this.#journal.now();
    return new Promise((resolve) => {
      const settle = (outcome: string, answer: Answer<R>) => {
        requests.push({ client: this.client, name, at, outcome, afterMs: this.#journal.now() - at });
        resolve(answer);
      };
      let isWaiting = true;
      const given = setTimeout(() => {
        isWaiting = false;
        settle("unanswered", { kind: "unanswered" });
      }, ACK_TIMEOUT_MS);
      this.socket.timeout(NEVER_MS).emit(name, payload, (error: Error | null, reply: R) => {
        clearTimeout(given);
        if (error === null) then(reply);
        if (!isWaiting) return;
        if (error !== null) settle("lost", { kind: "lost" });
        else settle(reply.ok ? "ok" : (reply.error?.code ?? "refused"), { kind: "answered", reply });
      });
    });
  }

  /** Loses the connection; the client is back by itself after `forMs`. Nothing where it is not connected. */
  cut(forMs: number): void {
    const { io } = this.socket;
    if (this.#gone || !this.socket.connected) return;
    io.reconnectionDelayMax(Math.max(forMs, RECONNECT_MS.most)).reconnectionDelay(forMs).randomizationFactor(0);
    const tcp = this.#tcp();
    // The network breaks without a word; a poll has no connection of its own to break.
    if (tcp !== undefined) tcp.destroy();
    else io.engine.close();
  }

  /** Loses the connection for good. */
  vanish(): void {
    this.cut(NEVER_MS);
    this.#gone = true;
    this.socket.io.reconnection(false);
  }

  /** Takes nothing from its TCP socket from now on; returns how to go on. False where there is no websocket. */
  stopReading(): (() => void) | undefined {
    const tcp = this.#tcp();
    tcp?.pause();
    return tcp && (() => tcp.resume());
  }

  close(): void {
    this.socket.io.reconnection(false);
    this.socket.disconnect();
  }

  #hurry(): void {
    const { io } = this.socket;
    io.reconnectionDelay(RECONNECT_MS.first).reconnectionDelayMax(RECONNECT_MS.most).randomizationFactor(0.5);
  }

  /** The TCP connection under a websocket; the stock client's types do not give it out. */
  #tcp(): TcpSocket | undefined {
    const { engine } = this.socket.io;
    if (engine.transport.name !== "websocket") return undefined;
    return (engine.transport as unknown as { ws: { _socket: TcpSocket } }).ws._socket;
  }
}
