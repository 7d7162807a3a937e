import type { Retention, RoomLog } from "../log/room-log.ts";
import { BOUNDS, type Replies, type Request } from "../protocol.ts";
import type { Call } from "./call.ts";
import type { Connection } from "./connection.ts";
import { authorizeReading, messagesOf, type RoomContext } from "./context.ts";

/** Which part of a room's log: `before` and `after` are exclusive, and not both. */
export interface HistoryQuery {
  readonly before?: number | undefined;
  readonly after?: number | undefined;
  readonly limit: number;
}

/** A page of the log, oldest first; `position` is the log's end. */
export async function readHistory(
  log: RoomLog,
  room: string,
  { before, after, limit }: HistoryQuery,
  retention: Retention,
): Promise<Replies["getHistory"]> {
  const size = { maxMessages: limit, maxBytes: BOUNDS.pageBytes };
  const { entries, head, more } =
    after === undefined
      ? await log.readBefore(room, before, size, retention)
      : await log.readAfter(room, after, size, retention);
  return { messages: messagesOf(entries), position: { epoch: head.epoch, seq: head.seq, ts: head.ts }, more };
}

/** `getHistory`: a page of the log. Needs no join. */
export async function getHistory(
  context: RoomContext,
  connection: Connection,
  { room, ...query }: Request<"getHistory">,
  call: Call<Replies["getHistory"]>,
): Promise<void> {
  const { retention } = await authorizeReading(context, connection, room, "history", call);
  const reading = readHistory(context.log, room, query, retention);
  // Whoever is in is put out by a ban; whoever only reads has to be looked up.
  const admitted = context.moderation.requireNotBanned(room, connection.identity.user);
  const [page] = await call.within(Promise.all([reading, admitted]));
  call.answer(page);
}
