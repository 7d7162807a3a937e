import type { Position, Retention } from "../log/room-log.ts";

/** Someone in a room, as clients see them. */
export interface Member {
  id: string;
  name?: string;
  state?: Record<string, unknown>;
}

/** A connection's place in a room's presence. */
export interface Seat {
  readonly room: string;
  readonly connection: string;
  /** Grows with every join of this connection: a late leave of an older join must not undo a newer one. */
  readonly attempt: number;
  readonly user: string;
}

export interface JoinRequest extends Seat {
  /** From the token; replaces the name that the room knows. */
  readonly name: string | undefined;
  /** JSON text of an object; where undefined, the state that the room knows stays. */
  readonly state: string | undefined;
  /** Most distinct users in the room; 0 for no limit. */
  readonly maxMembers: number;
  readonly retention: Retention;
  /**
   * Who hears of it: without a word all but the connection itself, whose ack says it. `nobody` where it was in all the
   * time, and the store may have lost that; `everybody` where it was in all the time, and was shown to leave: it heard that, too.
   */
  readonly tells?: "nobody" | "everybody";
  /** Name and state that the room knows of the user stay: those given here may be older. */
  readonly keepsKnown?: boolean;
}

export interface Joined {
  /** The log's end in the very moment of joining: the fence of G3. */
  readonly position: Position;
  readonly version: number;
  readonly memberCount: number;
  readonly members: readonly Member[];
  /** Where `getMembers` goes on, if there are more than 100. */
  readonly cursor: string | undefined;
}

export interface MemberPage {
  readonly members: readonly Member[];
  readonly memberCount: number;
  readonly version: number;
  readonly cursor: string | undefined;
}

/** Whose grace ends: that of everybody in a room, of one user in it, or of one user in all rooms. */
export type GraceOf =
  | { readonly room: string; readonly user?: string | undefined }
  | { readonly room?: undefined; readonly user: string };

/** What a presence change tells the room. `by` is the connection that caused it: it does not hear of its own joining. */
export interface PresenceChange {
  readonly kind: "userJoined" | "userLeft" | "userUpdated";
  readonly user: Member;
  readonly memberCount: number;
  readonly version: number;
  readonly by: string;
}

/**
 * Who is in which room: by user, with any number of connections each. One entry a connection, tagged with this node's
 * incarnation, so that a dead node's entries can be told from all others.
 *
 * Every call is one atomic step that publishes its change on the room's channel itself, so nobody hears of a change
 * that is not stored, and a change that is stored is published, but for those that tell nobody. `version` grows with every
 * change: where it is more than one ahead, somebody has to look.
 * A user's first and last connection are changes; those between are none. Calls reject with `unavailable` when the
 * outcome is unknown.
 */
export interface Presence {
  /**
   * Lets a connection in: ban, room size, presence, epoch and head in one step.
   * Rejects with `banned` or `room_full`, and has then changed nothing.
   * Joining again with the same connection only refreshes name and state.
   */
  join(request: JoinRequest): Promise<Joined>;

  /** Takes a connection out; nothing where it is not in, or in by a newer attempt. May be repeated at will. */
  leave(seat: Seat): Promise<void>;

  /** Replaces the state of the user (JSON text of an object). Rejects with `not_in_room` where the connection is not in. */
  setState(seat: Seat, state: string): Promise<void>;

  /** Members in the order of their coming. A cursor that is not one of ours rejects with `bad_request`. */
  members(room: string, cursor: string | undefined, limit: number): Promise<MemberPage>;
}
