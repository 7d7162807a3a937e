import { bannedUntil, RoomcastError } from "../errors.ts";
import type { ServerEvents } from "../protocol.ts";
import type { Connection } from "./connection.ts";
import type { RoomContext } from "./context.ts";
import { beginLeaving } from "./leave.ts";

export type Removal = ServerEvents["removed"];

/**
 * Takes a connection out of a room because somebody who may has said so; nothing where it is not in. Who was in is told
 * by `removed`, a join that was under way by its answer; nothing of the room is written to the connection after that.
 */
export function remove(context: RoomContext, connection: Connection, removal: Removal): void {
  const { room } = removal;
  const membership = connection.memberships.get(room);
  if (membership === undefined || membership.kind === "leaving") return;
  if (membership.kind === "joining") membership.call.end(refusalOf(removal));
  const wasIn = membership.kind === "joined" || membership.before !== undefined;
  // What the room still owes Redis goes on by itself; the connection is out from this moment.
  beginLeaving(context, connection, room, membership).catch(() => undefined);
  if (wasIn) connection.port.removed(removal);
}

function refusalOf({ room, reason, until }: Removal): RoomcastError {
  if (until !== undefined) return bannedUntil(until);
  return new RoomcastError("forbidden", `${room}: ${reason} while the join was under way`);
}
