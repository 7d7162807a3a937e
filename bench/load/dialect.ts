import type { DialectName } from "./command.ts";
import { mqtt } from "./mqtt.ts";
import { nats } from "./nats.ts";
import { roomcast } from "./roomcast.ts";
import { socketio } from "./socketio.ts";
import { bareWs } from "./ws.ts";

/** A conversation from the websocket's opening until the client is in its rooms. It may be kept for the next connection. */
export interface Conversation {
  /** What to write once the websocket is open. */
  start(): readonly (string | Buffer)[];
  /** What to write after a frame; `joined` once in all rooms. Throws where the server refuses. */
  hear(frame: Buffer): { readonly write: readonly (string | Buffer)[]; readonly joined: boolean };
}

/** How a contender is spoken to. */
export interface Dialect {
  readonly path: string;
  readonly subprotocol?: string;
  readonly opcode: number;
  /** A frame that must be answered at any time, and the answer. */
  readonly heartbeat?: { readonly ping: string; readonly pong: string };
  /** What a client writes that goes for good. */
  readonly farewell?: string | Buffer;
  converse(user: string, rooms: readonly string[]): Conversation;
  /** The payload of a frame that sends `data` to a room. */
  publish(room: string, data: string): string | Buffer;
}

/** How each contender is spoken to. */
export const DIALECTS: Readonly<Record<DialectName, Dialect>> = { roomcast, socketio, ws: bareWs, nats, mqtt };
