import type { Identity } from "../auth/tokens.ts";
import { RoomcastError } from "../errors.ts";
import type { Feed } from "../feed/feed.ts";
import type { Outlet } from "../feed/reader.ts";
import type { Seat } from "../presence/presence.ts";
import type { Replies, ServerEvents } from "../protocol.ts";
import type { Call } from "./call.ts";
import type { Rates } from "./rates.ts";

/** What the rooms need of a client's socket. */
export interface Port extends Outlet {
  /** Joins the Socket.IO room: signals and an embedding application's emits arrive from now on. */
  enter(room: string): void;
  exit(room: string): void;
  /** To everybody in the room but this connection, at most once. */
  signal(event: ServerEvents["signal"]): void;
  /** Tells this connection that it is out of a room. */
  removed(event: ServerEvents["removed"]): void;
}

/**
 * A connection's standing in one room.
 * - `joining`: a join is under way; `before` is what an earlier join gave, with its messages ended;
 * - `joined`: in the room, with or without a stream of messages (it ends by `resync`);
 * - `leaving`: out, but Redis may not know yet.
 */
export type Membership =
  | {
      readonly kind: "joining";
      readonly attempt: number;
      readonly call: Call<Replies["joinRoom"]>;
      readonly before: Joined | undefined;
    }
  | Joined
  | { readonly kind: "leaving"; readonly attempt: number; readonly done: Promise<void> };

export interface Joined {
  readonly kind: "joined";
  readonly attempt: number;
  readonly feed: Feed;
}

/** One authenticated connection and its rooms. */
export class Connection {
  readonly id: string;
  readonly port: Port;
  readonly rates: Rates;
  readonly memberships = new Map<string, Membership>();
  identity: Identity;
  /** Requests that are not answered yet. */
  pending = 0;
  #attempts = 0;

  constructor(id: string, identity: Identity, port: Port, rates: Rates) {
    this.id = id;
    this.identity = identity;
    this.port = port;
    this.rates = rates;
  }

  /** Whom messages and signals of this connection come from. */
  get from(): { id: string; name?: string } {
    const { user, name } = this.identity;
    return name === undefined ? { id: user } : { id: user, name };
  }

  /** The room's feed. Throws `not_in_room`. While a join is repeated, the connection is in by the one before. */
  feedOf(room: string): Feed {
    const membership = this.memberships.get(room);
    const joined = membership?.kind === "joining" ? membership.before : membership;
    if (joined?.kind !== "joined") throw new RoomcastError("not_in_room", `join ${room} first`);
    return joined.feed;
  }

  /** A number above those of all earlier joins of this connection. */
  nextAttempt(): number {
    this.#attempts += 1;
    return this.#attempts;
  }

  seat(room: string, attempt: number): Seat {
    return { room, connection: this.id, attempt, user: this.identity.user };
  }
}
