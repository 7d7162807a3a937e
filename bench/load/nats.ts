import type { Dialect } from "./dialect.ts";
import { OPCODE } from "./frames.ts";

/** A room's name as a subject: colons are fine, and there are no dots in ours. */
function subject(room: string): string {
  return room.replaceAll(/[\s.*>]/g, "_");
}

/** NATS by websocket: a room is a subject, and nothing is acknowledged but the subscription. */
export const nats: Dialect = {
  path: "/",
  opcode: OPCODE.binary,
  converse(_user, rooms) {
    const subscribe = rooms.map((room, id) => `SUB ${subject(room)} ${id + 1}\r\n`).join("");
    return {
      start: () => [`CONNECT {"verbose":false,"pedantic":false,"echo":true}\r\n${subscribe}PING\r\n`],
      hear(frame) {
        const text = frame.toString();
        if (text.startsWith("-ERR")) throw new Error(`NATS refused: ${text}`);
        return { write: [], joined: text.includes("PONG\r\n") };
      },
    };
  },
  publish: (room, data) => `PUB ${subject(room)} ${data.length}\r\n${data}\r\n`,
};
