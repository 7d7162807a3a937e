import type { Conversation, Dialect } from "./dialect.ts";
import { OPCODE } from "./frames.ts";

/** How many rooms a client enters before it waits for answers. */
const ROOMS_AT_ONCE = 32;
/** Acknowledgements of what is published carry this number. */
const PUBLISH_ID = 0;

export const ENGINE = {
  path: "/socket.io/?EIO=4&transport=websocket",
  opcode: OPCODE.text,
  heartbeat: { ping: "2", pong: "3" },
  farewell: "41",
} as const;

export interface Words {
  /** The packet that asks for the connection. */
  connect(): string;
  /** The event that enters a room. */
  enter(room: string): string;
  /** Hears the acknowledgement of it, as text. */
  entered(room: string, answer: string): void;
}

/** Engine.IO's and Socket.IO's handshake over a websocket, and the acknowledged entering of rooms. */
export function converseSocketIo(rooms: readonly string[], words: Words): Conversation {
  let entered = 0;
  let asked = 0;
  const ask = () => {
    const packets: string[] = [];
    while (asked < rooms.length && asked - entered < ROOMS_AT_ONCE) {
      packets.push(`42${asked + 1}${words.enter(rooms[asked] ?? "")}`);
      asked++;
    }
    return packets;
  };
  return {
    start: () => [],
    hear(frame) {
      const text = frame.toString();
      if (text.startsWith("0")) return { write: [words.connect()], joined: false };
      if (text.startsWith("44")) throw new Error(`the connection was refused: ${text}`);
      if (text.startsWith("40")) return { write: ask(), joined: rooms.length === 0 };
      const [, id, answer = ""] = /^43(\d+)(.*)$/s.exec(text) ?? [];
      if (id === undefined) return { write: [], joined: false };
      if (!answer.startsWith('[{"ok":true')) throw new Error(`a room was refused: ${answer.slice(0, 300)}`);
      words.entered(rooms[Number(id) - 1] ?? "", answer);
      entered++;
      return { write: ask(), joined: entered === rooms.length };
    },
  };
}

function event(id: number, ...args: readonly unknown[]): string {
  return `42${id}${JSON.stringify(args)}`;
}

/** The stock room server of contenders/socketio-server.ts. */
export const socketio: Dialect = {
  ...ENGINE,
  converse(_user, rooms) {
    return converseSocketIo(rooms, {
      connect: () => "40",
      enter: (room) => JSON.stringify(["enter", room]),
      entered: () => undefined,
    });
  },
  publish: (room, data) => event(PUBLISH_ID, "publish", room, data),
};
