import { setTimeout as delay } from "node:timers/promises";
import type { Socket } from "socket.io-client";
import type { Ack, Replies, RequestName } from "../src/protocol.ts";

/** Longer than the server's own deadline: an answer that is not there by then will not come. */
export const ACK_TIMEOUT_MS = 4_000;
export const RETRY_MS = 250;
/** How long a request is repeated before its virtual user gives up. */
export const GIVE_UP_MS = 30_000;
export const LOOK_AGAIN_MS = 20;

/** Asks again what was not answered, as an application would, and counts the answers that were no ok. */
export class Requests {
  readonly #socket: Socket;
  /** How often each error code came, and `no_answer`. */
  readonly refusals = new Map<string, number>();

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /**
   * Asks until the answer is ok; undefined where it never is. `mayAsk` says `wait` while the connection is not where the
   * request needs it, and `stop` once nobody wants the answer any more.
   */
  async untilOk<Name extends RequestName>(
    name: Name,
    request: object,
    mayAsk: () => "ask" | "wait" | "stop",
  ): Promise<Replies[Name] | undefined> {
    const deadline = Date.now() + GIVE_UP_MS;
    for (let may = mayAsk(); may !== "stop" && Date.now() < deadline; may = mayAsk()) {
      if (may === "wait") {
        await delay(LOOK_AGAIN_MS);
        continue;
      }
      const ack = await this.ask(name, request);
      if (ack?.ok) return ack;
      // Asked just before a reconnect or a resync, and read just after.
      if (ack !== undefined && !ack.error.retryable && ack.error.code !== "not_in_room") return undefined;
      await delay(ack?.error.retryAfterMs ?? RETRY_MS);
    }
    return undefined;
  }

  /** Asks once; undefined where no answer came. */
  ask<Name extends RequestName>(name: Name, request: object): Promise<Ack<Name> | undefined> {
    return new Promise((resolve) => {
      this.#socket.timeout(ACK_TIMEOUT_MS).emit(name, request, (lost: Error | null, ack: Ack<Name>) => {
        const answer = lost === null ? ack : undefined;
        if (!answer?.ok) this.count(answer?.error.code ?? "no_answer");
        resolve(answer);
      });
    });
  }

  count(code: string): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
  }
}
