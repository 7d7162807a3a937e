import type { TokenVerifier } from "../auth/tokens.ts";
import { RoomcastError } from "../errors.ts";
import type { Replies, Request } from "../protocol.ts";
import type { Call } from "./call.ts";
import type { Connection } from "./connection.ts";
import { type RoomContext, takeRate } from "./context.ts";
import { withdraw } from "./withdraw.ts";

/** `renewToken`: the same user with a new token. Rooms that it does not allow any more are left. */
export async function renewToken(
  context: RoomContext,
  verifier: TokenVerifier,
  connection: Connection,
  { token }: Request<"renewToken">,
  call: Call<Replies["renewToken"]>,
): Promise<void> {
  takeRate(connection, "renew");
  const identity = await call.within(verifier.verify(token));
  if (identity.user !== connection.identity.user) {
    throw new RoomcastError("forbidden", `the token is not for ${connection.identity.user}: connect anew with it`);
  }
  connection.identity = identity;
  call.answer({ expiresAt: identity.expiresAt });
  withdraw(context, connection);
}
