import { may } from "../auth/permissions.ts";
import type { TokenVerifier } from "../auth/tokens.ts";
import { RoomcastError } from "../errors.ts";
import type { Replies, Request, ServerEvents } from "../protocol.ts";
import type { Call } from "./call.ts";
import type { Connection } from "./connection.ts";
import type { RoomContext } from "./context.ts";
import { beginLeaving } from "./leave.ts";

/** Tells the connection that it is out of a room. */
export type Removed = (event: ServerEvents["removed"]) => void;

/** `renewToken`: the same user with a new token. Rooms that it does not allow any more are left. */
export async function renewToken(
  context: RoomContext,
  verifier: TokenVerifier,
  connection: Connection,
  { token }: Request<"renewToken">,
  call: Call<Replies["renewToken"]>,
  removed: Removed,
): Promise<void> {
  const identity = await call.within(verifier.verify(token));
  if (identity.user !== connection.identity.user) {
    throw new RoomcastError("forbidden", `the token is not for ${connection.identity.user}: connect anew with it`);
  }
  connection.identity = identity;
  call.answer({ expiresAt: identity.expiresAt });
  for (const [room, membership] of connection.memberships) {
    if (membership.kind === "leaving" || may(identity.permissions, context.types.of(room), room, "join")) continue;
    // What the room still owes Redis goes on by itself; the connection is out from this moment.
    beginLeaving(context, connection, room, membership).catch(() => undefined);
    removed({ room, reason: "forbidden" });
  }
}
