import { RoomcastError } from "../errors.ts";
import type { Replies, Request, ServerEvents } from "../protocol.ts";
import type { Call } from "./call.ts";
import type { Connection } from "./connection.ts";
import { authorize, type RoomContext, takeRate, takeRoomRate } from "./context.ts";
import { requireDepth } from "./json.ts";

/** `sendSignal`: accepted, at most once, never stored. It travels by the stock adapter. */
export async function sendSignal(
  context: RoomContext,
  connection: Connection,
  { room, event, data }: Request<"sendSignal">,
  call: Call<Replies["sendSignal"]>,
): Promise<void> {
  authorize(context, connection, room, "signal");
  const feed = connection.feedOf(room);
  takeRate(connection, "signal");
  takeRoomRate(context, room, feed, "signal");
  requireSize(data, context.limits.payloadBytes);
  if (!context.hearing())
    throw new RoomcastError("unavailable", "this node does not hear Redis: the signal was not sent");
  const signal: ServerEvents["signal"] = { room, from: connection.from, event };
  if (data !== undefined) signal.data = data;
  connection.port.signal(signal);
  context.counts.signalAccepted();
  call.answer({});
}

/** Binary counts as it is; what is left is JSON and counts as it is encoded. */
function requireSize(data: unknown, maxBytes: number): void {
  const binary = { bytes: 0 };
  const rest = withoutBinary(data, binary);
  const bytes = binary.bytes + (rest === undefined ? 0 : Buffer.byteLength(JSON.stringify(rest)));
  if (bytes > maxBytes) {
    throw new RoomcastError("payload_too_large", `data has ${bytes} bytes once encoded, ${maxBytes} are allowed`);
  }
}

function withoutBinary(value: unknown, binary: { bytes: number }, depth = 0): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (ArrayBuffer.isView(value)) {
    binary.bytes += value.byteLength;
    return null;
  }
  requireDepth("data", depth);
  if (Array.isArray(value)) return value.map((item) => withoutBinary(item, binary, depth + 1));
  return Object.entries(value).map(([key, item]) => [key, withoutBinary(item, binary, depth + 1)]);
}
