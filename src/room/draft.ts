import type { Draft } from "../log/room-log.ts";
import type { Message } from "../protocol.ts";

/** What becomes a message: everything but what the log adds. `data` is JSON text that `encodeJson` made. */
export interface Outgoing extends Pick<Message, "room" | "id" | "from" | "event"> {
  readonly data: string;
}

/** The text of a message's payload after `seq` and `ts`: see `Draft`. */
export function restOf({ room, id, from, event, data }: Outgoing): Draft["rest"] {
  return `"room":${JSON.stringify(room)},"id":${JSON.stringify(id)},"from":${JSON.stringify(from)},"event":${JSON.stringify(event)},"data":${data}}`;
}
