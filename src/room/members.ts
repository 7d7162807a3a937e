import type { Replies, Request } from "../protocol.ts";
import type { Call } from "./call.ts";
import type { Connection } from "./connection.ts";
import { authorizeReading, encodeJson, type RoomContext, takeRate } from "./context.ts";

/** `getMembers`: a page of who is in the room, in the order of their coming. */
export async function getMembers(
  context: RoomContext,
  connection: Connection,
  { room, cursor, limit }: Request<"getMembers">,
  call: Call<Replies["getMembers"]>,
): Promise<void> {
  await authorizeReading(context, connection, room, "join", call);
  const reading = context.presence.members(room, cursor, limit);
  const admitted = context.moderation.requireNotBanned(room, connection.identity.user);
  const [page] = await call.within(Promise.all([reading, admitted]));
  const reply: Replies["getMembers"] = {
    members: [...page.members],
    memberCount: page.memberCount,
    version: page.version,
  };
  if (page.cursor !== undefined) reply.cursor = page.cursor;
  call.answer(reply);
}

/** `setState`: replaces what the room knows of this user. */
export async function setState(
  context: RoomContext,
  connection: Connection,
  { room, state }: Request<"setState">,
  call: Call<Replies["setState"]>,
): Promise<void> {
  connection.feedOf(room);
  takeRate(connection, "state");
  const json = encodeJson("state", state, context.limits.stateBytes);
  const attempt = connection.memberships.get(room)?.attempt ?? 0;
  await call.within(context.seats.setState(connection.seat(room, attempt), json));
  call.answer({});
}
