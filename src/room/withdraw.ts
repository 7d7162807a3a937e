import type { Connection } from "./connection.ts";
import { allows, mayAsk, type RoomContext } from "./context.ts";
import { remove } from "./removal.ts";

/** After a connection's rights changed: it is out of every room that they do not cover any more. */
export function withdraw(context: RoomContext, connection: Connection): void {
  for (const [room, membership] of connection.memberships) {
    if (allows(context, connection, room, "join")) continue;
    // A join that waits for the application's answer goes by that.
    if (membership.kind === "joining" && mayAsk(context, connection, room, "join")) continue;
    remove(context, connection, { room, reason: "forbidden" });
  }
}
