import type { Dialect } from "./dialect.ts";
import { converseSocketIo, ENGINE } from "./socketio.ts";
import { signedToken } from "./token.ts";

/** Acknowledgements of what is published carry this number. */
const PUBLISH_ID = 0;

/** Each room's position as its last acknowledgement told it: a client that comes back goes on from there. */
const positions = new Map<string, unknown>();

/** Roomcast's own protocol: a token, `joinRoom` with `since`, `sendMessage`. */
export const roomcast: Dialect = {
  ...ENGINE,
  converse(user, rooms) {
    return converseSocketIo(rooms, {
      connect: () => `40${JSON.stringify({ token: signedToken(user) })}`,
      enter(room) {
        const since = positions.get(`${user} ${room}`);
        return JSON.stringify(["joinRoom", since === undefined ? { room } : { room, since }]);
      },
      entered(room, answer) {
        const [ack] = JSON.parse(answer) as [{ position: unknown }];
        positions.set(`${user} ${room}`, ack.position);
      },
    });
  },
  publish: (room, data) => `42${PUBLISH_ID}${JSON.stringify(["sendMessage", { room, data }])}`,
};
