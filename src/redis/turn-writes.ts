import type { Redis } from "ioredis";

const ofConnection = new WeakMap<Redis, TurnWrites>();

/**
 * What one connection is given in one turn of the event loop. It leaves in one write, at the end of the turn: the system
 * call is what costs. What is put off until then, to be joined with more of its kind, is sent before anything that is
 * called later: whoever shares a connection has its calls carried out in their order.
 */
export class TurnWrites {
  readonly #redis: Redis;
  #putOff: (() => void)[] = [];
  #begun = false;

  private constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** The same one for everybody who uses the connection. */
  static of(redis: Redis): TurnWrites {
    let writes = ofConnection.get(redis);
    if (writes === undefined) {
      writes = new TurnWrites(redis);
      ofConnection.set(redis, writes);
    }
    return writes;
  }

  /** To be called before a command is sent. */
  join(): void {
    this.#begin();
    this.sendPutOff();
  }

  /** Calls `send`, which must not throw, before the next command that joins, at the latest at the end of this turn. */
  putOff(send: () => void): void {
    this.#begin();
    this.#putOff.push(send);
  }

  /** To be called before a command that does not join, where it must not overtake what was called before. */
  sendPutOff(): void {
    if (this.#putOff.length === 0) return;
    const sends = this.#putOff;
    this.#putOff = [];
    for (const send of sends) send();
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    const { stream } = this.#redis;
    stream.cork();
    setImmediate(() => {
      // Before the writes are let go, or it would wait for the end of another turn.
      this.sendPutOff();
      this.#begun = false;
      stream.uncork();
    });
  }
}
