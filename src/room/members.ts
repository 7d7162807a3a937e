import type { Presence } from "../presence/presence.ts";
import type { Replies, Request } from "../protocol.ts";
import type { Call } from "./call.ts";
import type { Connection } from "./connection.ts";
import { authorizeReading, type RoomContext, takeRate } from "./context.ts";
import { encodeJson } from "./json.ts";

/** A page of who is in the room, in the order of their coming. Rejects with `bad_request` for a cursor that is none. */
export async function readMembers(
  presence: Presence,
  room: string,
  cursor: string | undefined,
  limit: number,
): Promise<Replies["getMembers"]> {
  const { members, memberCount, version, cursor: next } = await presence.members(room, cursor, limit);
  return { members: [...members], memberCount, version, ...(next !== undefined && { cursor: next }) };
}

/** `getMembers`: a page of who is in the room. */
export async function getMembers(
  context: RoomContext,
  connection: Connection,
  { room, cursor, limit }: Request<"getMembers">,
  call: Call<Replies["getMembers"]>,
): Promise<void> {
  await authorizeReading(context, connection, room, "join", call);
  const reading = readMembers(context.presence, room, cursor, limit);
  const admitted = context.moderation.requireNotBanned(room, connection.identity.user);
  const [page] = await call.within(Promise.all([reading, admitted]));
  context.feeds.get(room)?.membersShown(page.version);
  call.answer(page);
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
