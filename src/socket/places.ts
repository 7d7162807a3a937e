import { RoomcastError } from "../errors.ts";

/**
 * How many connections there are, of the node and of each user. A place is taken while a connection is being verified,
 * not once it is there: many that are verified in one turn must not all find the same place free.
 */
export class Places<Holder extends object> {
  readonly #maxAll: number;
  readonly #maxPerUser: number;
  readonly #holders = new WeakMap<Holder, string>();
  #taken = 0;
  readonly #users = new Map<string, number>();

  constructor(maxAll: number, maxPerUser: number) {
    this.#maxAll = maxAll;
    this.#maxPerUser = maxPerUser;
  }

  /** Throws `too_many_connections`. */
  take(holder: Holder, user: string): void {
    if (this.#holders.has(holder)) return;
    if (this.#taken >= this.#maxAll) {
      throw new RoomcastError("too_many_connections", "this node has as many connections as it may have");
    }
    if ((this.#users.get(user) ?? 0) >= this.#maxPerUser) {
      throw new RoomcastError("too_many_connections", `${user} has ${this.#maxPerUser} connections to this node`);
    }
    this.#holders.set(holder, user);
    this.#taken += 1;
    this.#users.set(user, (this.#users.get(user) ?? 0) + 1);
  }

  /** Does nothing where the holder has none. */
  give(holder: Holder): void {
    const user = this.#holders.get(holder);
    if (user === undefined) return;
    this.#holders.delete(holder);
    this.#taken -= 1;
    const left = (this.#users.get(user) ?? 0) - 1;
    if (left > 0) this.#users.set(user, left);
    else this.#users.delete(user);
  }
}
