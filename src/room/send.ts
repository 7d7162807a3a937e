import type { Appended } from "../log/room-log.ts";
import type { Replies, Request } from "../protocol.ts";
import type { Call } from "./call.ts";
import type { Connection } from "./connection.ts";
import { authorize, type RoomContext, takeRate, takeRoomRate } from "./context.ts";
import { restOf } from "./draft.ts";
import type { TimedHooks } from "./hooks.ts";
import { encodeJson } from "./json.ts";

/**
 * `sendMessage`: ok once the message is in the log. Nothing is awaited before the append, so that a connection's
 * messages to a room are stored in the order in which they were sent; where the application is asked first, they take turns.
 */
export async function sendMessage(
  context: RoomContext,
  connection: Connection,
  request: Request<"sendMessage">,
  call: Call<Replies["sendMessage"]>,
): Promise<void> {
  const { room, id } = request;
  const policy = authorize(context, connection, room, "send");
  const feed = connection.feedOf(room);
  takeRate(connection, "send");
  takeRoomRate(context, room, feed, "send");
  const asked = context.hooks.beforeSend && (await ask(context, context.hooks.beforeSend, connection, request, call));
  const { event, data } = asked ?? request;
  const { from } = connection;
  const started = performance.now();
  let rest: string;
  let appending: Promise<Appended>;
  try {
    rest = restOf({ room, id, from, event, data: encodeJson("data", data, context.limits.payloadBytes) });
    appending = context.log.append(room, {
      space: "u",
      sender: connection.identity.user,
      id,
      rest,
      known: feed.known,
      retention: policy.retention,
    });
  } finally {
    asked?.done();
  }
  const stored = await call.within(appending);
  feed.stored(stored);
  const { seq, ts, duplicate } = stored;
  context.counts.messageAccepted(Buffer.byteLength(rest), (performance.now() - started) / 1_000, duplicate);
  call.answer({ id, seq, ts, duplicate });
  if (!duplicate) context.hooks.afterSend?.({ seq, ts, room, id, from, event, data });
}

/**
 * What the application makes of a message, once it is this one's turn to be stored; `done` gives the turn on. Rejects where
 * it refuses, and where the connection was put out of the room meanwhile.
 */
async function ask(
  context: RoomContext,
  beforeSend: NonNullable<TimedHooks["beforeSend"]>,
  connection: Connection,
  { room, id, event, data }: Request<"sendMessage">,
  call: Call<Replies["sendMessage"]>,
): Promise<{ event: string; data: unknown; done: () => void }> {
  const { before, done } = context.sendTurns.take(connection, room);
  try {
    const sending = { user: connection.from, connection: connection.id, room, id, event, data };
    const [change] = await call.within(Promise.all([beforeSend(sending), before]));
    authorize(context, connection, room, "send");
    connection.feedOf(room);
    return { event, data, ...change, done };
  } catch (error) {
    done();
    throw error;
  }
}
