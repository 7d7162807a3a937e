// The package's public face: everything that is exported is listed here, and nothing else is public.
export type { Grant, Permission } from "./auth/permissions.ts";
export type { RoomTypes } from "./auth/room-types.ts";
export type { Authorized, Question } from "./auth/signed-question.ts";
export { type Config, ConfigError, parseConfig, reloadRoomTypes } from "./config/config.ts";
export type { Addresses, NodeOptions, RoomcastNode, SocketIdentity } from "./embedding.ts";
export type { Environment } from "./environment.ts";
export { ERRORS, type ErrorCode, RoomcastError, type WireError } from "./errors.ts";
export type { ExpressApp } from "./http/public-server.ts";
export { createNode } from "./node.ts";
export type {
  Ack,
  Message,
  Replies,
  Request,
  RequestName,
  ServerEvents,
  WelcomeLimits,
  WireMember,
  WirePosition,
} from "./protocol.ts";
export type { NodeRooms } from "./room/embedded-rooms.ts";
export type { Change, Hooks, Joining, Sending } from "./room/hooks.ts";
export { createLogger, type Logger, type LogLevel } from "./telemetry/log.ts";
