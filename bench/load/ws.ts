import type { Dialect } from "./dialect.ts";
import { OPCODE } from "./frames.ts";

/** The loop of contenders/ws-server.ts. */
export const bareWs: Dialect = {
  path: "/",
  opcode: OPCODE.text,
  converse(_user, rooms) {
    let entered = 0;
    return {
      start: () => rooms.map((room) => JSON.stringify({ enter: room })),
      hear(frame) {
        if (frame.toString() === '{"ok":true}') entered++;
        return { write: [], joined: entered >= rooms.length };
      },
    };
  },
  publish: (room, data) => JSON.stringify({ room, data }),
};
