import type { Replies, Request } from "../protocol.ts";
import type { Call } from "./call.ts";
import type { Connection } from "./connection.ts";
import { authorize, type RoomContext, takeRate } from "./context.ts";

/** `kickMember`: puts a user out of the room on every node, and with `banSeconds` keeps them out. Needs no join. */
export async function kickMember(
  context: RoomContext,
  connection: Connection,
  { room, user, banSeconds }: Request<"kickMember">,
  call: Call<Replies["kickMember"]>,
): Promise<void> {
  authorize(context, connection, room, "moderate");
  takeRate(connection, "moderate");
  const until = await call.within(context.moderation.kick(room, user, banSeconds));
  call.answer(until === undefined ? {} : { until });
}

/** `unbanMember`: lifts a ban; `not_found` where there is none. */
export async function unbanMember(
  context: RoomContext,
  connection: Connection,
  { room, user }: Request<"unbanMember">,
  call: Call<Replies["unbanMember"]>,
): Promise<void> {
  authorize(context, connection, room, "moderate");
  takeRate(connection, "moderate");
  await call.within(context.moderation.unban(room, user));
  call.answer({});
}

/** `closeRoom`: puts everybody out and removes the messages. The room can be joined again. */
export async function closeRoom(
  context: RoomContext,
  connection: Connection,
  { room }: Request<"closeRoom">,
  call: Call<Replies["closeRoom"]>,
): Promise<void> {
  authorize(context, connection, room, "moderate");
  takeRate(connection, "moderate");
  await call.within(context.moderation.close(room));
  call.answer({});
}
