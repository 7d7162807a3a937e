import { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Server, Socket } from "socket.io";

/** Engine.IO, under Socket.IO. Its types hide some of what is used here. */
export type Engine = Server["engine"];
export type EngineSession = Socket["conn"];

/** The websocket of the `ws` library under a transport. */
export interface Websocket extends EventEmitter {
  pause(): void;
  resume(): void;
  terminate(): void;
}

/** Polling has none. */
export function websocketOf(transport: object): Websocket | undefined {
  const socket: unknown = Reflect.get(transport, "socket");
  return isWebsocket(socket) ? socket : undefined;
}

function isWebsocket(value: unknown): value is Websocket {
  return value instanceof EventEmitter && "pause" in value && "resume" in value && "terminate" in value;
}

/** A request's query as Engine.IO reads it, before its middlewares: of two fields with one name it takes the last. */
export function queryOf(request: IncomingMessage): object {
  const query: unknown = Reflect.get(request, "_query");
  return typeof query === "object" && query !== null ? query : {};
}

/** The id of the session that a request is of, by what Engine.IO itself goes by; empty where it opens one. */
export function sessionIdOf(request: IncomingMessage): string {
  const sid: unknown = Reflect.get(queryOf(request), "sid");
  return typeof sid === "string" ? sid : "";
}

/** The session that a request is of, if it is one of this engine's. */
export function sessionOf(engine: Engine, request: IncomingMessage): EngineSession | undefined {
  const id = sessionIdOf(request);
  const sessions: unknown = Reflect.get(engine, "clients");
  if (id === "" || typeof sessions !== "object" || sessions === null || !Object.hasOwn(sessions, id)) return undefined;
  return Reflect.get(sessions, id);
}
