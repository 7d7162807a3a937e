import { RoomcastError } from "../errors.ts";
import type { Replies, Request } from "../protocol.ts";
import type { Call } from "./call.ts";
import type { Connection, Membership } from "./connection.ts";
import { type RoomContext, takeRate } from "./context.ts";

/**
 * `leaveRoom`: no message of the room from this moment on, whatever the answer. A pending join is cancelled.
 * While Redis is away the answer is `unavailable`, the leaving goes on, and asking again tells when it is done.
 */
export async function leaveRoom(
  context: RoomContext,
  connection: Connection,
  { room }: Request<"leaveRoom">,
  call: Call<Replies["leaveRoom"]>,
): Promise<void> {
  takeRate(connection, "join");
  const membership = connection.memberships.get(room);
  if (membership === undefined) throw new RoomcastError("not_in_room", `this connection is not in ${room}`);
  await call.within(
    membership.kind === "leaving" ? membership.done : beginLeaving(context, connection, room, membership),
  );
  call.answer({});
}

/** Out of the room at once; resolves when Redis knows. */
export function beginLeaving(
  context: RoomContext,
  connection: Connection,
  room: string,
  membership: Exclude<Membership, { kind: "leaving" }>,
): Promise<void> {
  // The attempt of the join that is given up: the store keeps that one out, should it arrive late.
  const { attempt } = membership;
  stopFollowing(context, connection, room, membership);
  const done = context.seats.leave(connection.seat(room, attempt));
  const leaving: Membership = { kind: "leaving", attempt, done };
  connection.memberships.set(room, leaving);
  const forget = () => {
    if (connection.memberships.get(room) === leaving) connection.memberships.delete(room);
  };
  done.then(forget, forget);
  return done;
}

function stopFollowing(
  context: RoomContext,
  connection: Connection,
  room: string,
  membership: Exclude<Membership, { kind: "leaving" }>,
): void {
  if (membership.kind === "joining") membership.call.end(new RoomcastError("superseded"));
  const joined = membership.kind === "joining" ? membership.before : membership;
  if (joined === undefined) return;
  joined.feed.detach(connection.port);
  context.feeds.release(room, joined.feed);
  connection.port.exit(room);
}

/** The connection is gone. `graceMs` 0: it meant to go; else its user is present until then, or is back before. */
export function leaveAll(context: RoomContext, connection: Connection, graceMs: number): void {
  for (const [room, membership] of connection.memberships) {
    if (membership.kind === "leaving") continue;
    stopFollowing(context, connection, room, membership);
    const seat = connection.seat(room, membership.attempt);
    if (graceMs > 0) context.seats.leaveLater(seat, graceMs);
    else context.seats.leaveQuietly(seat);
  }
  connection.memberships.clear();
}
