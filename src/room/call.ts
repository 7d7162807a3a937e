import type { RoomcastError } from "../errors.ts";

/**
 * One request under way, and the way to answer it. It ends early by its deadline, by a newer request that takes its
 * place, or because its connection went. Whoever awaits something on its behalf does it by `within`, which rejects in the
 * very moment of an early end, and undoes what a late success may have done.
 */
export class Call<Reply> {
  readonly #acknowledge: (reply: Reply) => void;
  readonly #early = Promise.withResolvers<never>();
  #ended: RoomcastError | undefined;

  constructor(acknowledge: (reply: Reply) => void) {
    this.#acknowledge = acknowledge;
    this.#early.promise.catch(() => undefined);
  }

  /** Ends the call early; only the first reason counts. */
  end(reason: RoomcastError): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    this.#early.reject(reason);
  }

  /** Throws where the call ended early: nothing that would have to be undone shall begin any more. */
  requireOpen(): void {
    if (this.#ended !== undefined) throw this.#ended;
  }

  within<Value>(work: Promise<Value>): Promise<Value> {
    if (this.#ended === undefined) return Promise.race([work, this.#early.promise]);
    // Whatever comes of it, nobody waits for it any more.
    work.catch(() => undefined);
    return Promise.reject(this.#ended);
  }

  /** Writes the ok acknowledgement, before it returns. Throws where the call ended early: then nothing was written. */
  answer(reply: Reply): void {
    this.requireOpen();
    this.#acknowledge(reply);
  }
}
