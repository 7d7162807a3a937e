import type { Draft } from "../log/room-log.ts";
import type { Replies, Request } from "../protocol.ts";
import type { Call } from "./call.ts";
import type { Connection } from "./connection.ts";
import { authorize, type RoomContext, takeRate, takeRoomRate } from "./context.ts";
import { restOf } from "./draft.ts";
import { encodeJson } from "./json.ts";

/**
 * `sendMessage`: ok once the message is in the log. Nothing is awaited before the append, so that a connection's
 * messages to a room are stored in the order in which they were sent.
 */
export async function sendMessage(
  context: RoomContext,
  connection: Connection,
  request: Request<"sendMessage">,
  call: Call<Replies["sendMessage"]>,
): Promise<void> {
  const { room, id, event } = request;
  const policy = authorize(context, connection, room, "send");
  const feed = connection.feedOf(room);
  takeRate(connection, "send");
  takeRoomRate(context, room, feed, "send");
  const data = encodeJson("data", request.data, context.limits.payloadBytes);
  const started = performance.now();
  const draft: Draft = {
    space: "u",
    sender: connection.identity.user,
    id,
    rest: restOf({ room, id, from: connection.from, event, data }),
    known: feed.known,
    retention: policy.retention,
  };
  const { seq, ts, duplicate } = await call.within(context.log.append(room, draft));
  const bytes = Buffer.byteLength(draft.rest);
  context.counts.messageAccepted(bytes, (performance.now() - started) / 1_000, duplicate);
  call.answer({ id, seq, ts, duplicate });
}
