import { BOUNDS, type Replies, type Request } from "../protocol.ts";
import type { Call } from "./call.ts";
import type { Connection } from "./connection.ts";
import { authorizeReading, messagesOf, type RoomContext } from "./context.ts";

/** `getHistory`: a page of the log, oldest first; `position` is the log's end. Needs no join. */
export async function getHistory(
  context: RoomContext,
  connection: Connection,
  { room, before, after, limit }: Request<"getHistory">,
  call: Call<Replies["getHistory"]>,
): Promise<void> {
  const { retention } = await authorizeReading(context, connection, room, "history", call);
  const size = { maxMessages: limit, maxBytes: BOUNDS.pageBytes };
  const reading =
    after === undefined
      ? context.log.readBefore(room, before, size, retention)
      : context.log.readAfter(room, after, size, retention);
  // Whoever is in is put out by a ban; whoever only reads has to be looked up.
  const admitted = context.moderation.requireNotBanned(room, connection.identity.user);
  const [page] = await call.within(Promise.all([reading, admitted]));
  const { epoch, seq, ts } = page.head;
  call.answer({ messages: messagesOf(page.entries), position: { epoch, seq, ts }, more: page.more });
}
