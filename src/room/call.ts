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

  within<Value>(work: Promise<Value>): Promise<Value> {
    return this.#ended === undefined ? Promise.race([work, this.#early.promise]) : Promise.reject(this.#ended);
  }

  /** Writes the ok acknowledgement, before it returns. Throws where the call ended early: then nothing was written. */
  answer(reply: Reply): void {
    if (this.#ended !== undefined) throw this.#ended;
    this.#acknowledge(reply);
  }
}
