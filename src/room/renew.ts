import { may } from "../auth/permissions.ts";
import type { TokenVerifier } from "../auth/tokens.ts";
import { RoomcastError } from "../errors.ts";
import type { Replies, Request } from "../protocol.ts";
import type { Call } from "./call.ts";
import type { Connection } from "./connection.ts";
import type { RoomContext } from "./context.ts";
import { remove } from "./removal.ts";

/** `renewToken`: the same user with a new token. Rooms that it does not allow any more are left. */
export async function renewToken(
  context: RoomContext,
  verifier: TokenVerifier,
  connection: Connection,
  { token }: Request<"renewToken">,
  call: Call<Replies["renewToken"]>,
): Promise<void> {
  const identity = await call.within(verifier.verify(token));
  if (identity.user !== connection.identity.user) {
    throw new RoomcastError("forbidden", `the token is not for ${connection.identity.user}: connect anew with it`);
  }
  connection.identity = identity;
  call.answer({ expiresAt: identity.expiresAt });
  for (const room of connection.memberships.keys()) {
    if (may(identity.permissions, context.types.of(room), room, "join")) continue;
    remove(context, connection, { room, reason: "forbidden" });
  }
}
