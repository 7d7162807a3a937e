import type { PermissionBits } from "../auth/permissions.ts";
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
  /** More may be written to this connection before the event loop calls back again: it leaves together, in the order of the calls. */
  moreFollows(): void;
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
      /** The store may have heard of this attempt, or of an earlier one whose place it took. */
      mayBeSeated: boolean;
    }
  | Joined
  | { readonly kind: "leaving"; readonly attempt: number; readonly done: Promise<void> };

export interface Joined {
  readonly kind: "joined";
  readonly attempt: number;
  readonly feed: Feed;
  /** Where the token does not cover the room, and the application allowed it. */
  readonly grant: RoomGrant | undefined;
}

/** What the application allowed in a room; it is asked again before the end. */
export interface RoomGrant {
  bits: PermissionBits;
  /** By the monotonic clock, in milliseconds. */
  until: number;
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

  /** How the connection is in the room, if it is. While a join is repeated, it is in by the one before. */
  joinedIn(room: string): Joined | undefined {
    const membership = this.memberships.get(room);
    const joined = membership?.kind === "joining" ? membership.before : membership;
    return joined?.kind === "joined" ? joined : undefined;
  }

  /** The room's feed. Throws `not_in_room`. */
  feedOf(room: string): Feed {
    const joined = this.joinedIn(room);
    if (joined === undefined) throw new RoomcastError("not_in_room", `join ${room} first`);
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
