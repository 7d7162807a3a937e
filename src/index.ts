// The package's public face: everything that is exported is listed here, and nothing else is public.
export type { RoomTypes } from "./auth/room-types.ts";
export { type Config, ConfigError, parseConfig, reloadRoomTypes } from "./config.ts";
export { ERRORS, type ErrorCode, RoomcastError, type WireError } from "./errors.ts";
export { type Addresses, createNode, type RoomcastNode } from "./node.ts";
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
export { createLogger, type Logger, type LogLevel } from "./telemetry/log.ts";
