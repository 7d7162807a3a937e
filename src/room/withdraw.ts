import type { Connection } from "./connection.ts";
import { allows, mayAsk, type RoomContext } from "./context.ts";
import { beginLeaving } from "./leave.ts";

/** Takes a connection out of a room that it may not be in any more, from this moment on, and tells it. */
export function leaveForbidden(context: RoomContext, connection: Connection, room: string): void {
  const membership = connection.memberships.get(room);
  if (membership === undefined || membership.kind === "leaving") return;
  // What the room still owes Redis goes on by itself.
  beginLeaving(context, connection, room, membership).catch(() => undefined);
  connection.removed({ room, reason: "forbidden" });
}

/** After a connection's rights changed: it is out of every room that they do not cover any more. */
export function withdraw(context: RoomContext, connection: Connection): void {
  for (const [room, membership] of connection.memberships) {
    if (allows(context, connection, room, "join")) continue;
    // A join that waits for the application's answer goes by that.
    if (membership.kind === "joining" && mayAsk(context, connection, room, "join")) continue;
    leaveForbidden(context, connection, room);
  }
}
