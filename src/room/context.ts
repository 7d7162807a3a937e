import { denial, may, type Permission } from "../auth/permissions.ts";
import type { RoomPolicy, RoomTypes } from "../auth/room-types.ts";
import { RoomcastError } from "../errors.ts";
import type { Feeds } from "../feed/feeds.ts";
import type { Entry, RoomLog } from "../log/room-log.ts";
import type { Blocks } from "../moderation/blocks.ts";
import type { Moderation } from "../moderation/moderation.ts";
import type { Presence } from "../presence/presence.ts";
import type { Seats } from "../presence/seats.ts";
import { BOUNDS, type Message } from "../protocol.ts";
import type { Connection } from "./connection.ts";
import type { RateKind } from "./rates.ts";
import type { Turns } from "./turns.ts";

/** What the verbs of a room work with. */
export interface RoomContext {
  readonly types: RoomTypes;
  readonly feeds: Feeds;
  readonly log: RoomLog;
  readonly presence: Presence;
  readonly seats: Seats;
  readonly moderation: Moderation;
  readonly blocks: Blocks;
  readonly limits: RoomLimits;
  /** For answers that are long to encode: by the bytes of their messages. */
  readonly turns: Turns;
  readonly counts: RoomCounts;
  /** Whether this node hears Redis. */
  hearing(): boolean;
}

export interface RoomLimits {
  /** Most bytes of `data`, once encoded. */
  readonly payloadBytes: number;
  /** Most bytes of a member's `state`, once encoded. */
  readonly stateBytes: number;
  readonly roomsPerConnection: number;
  /** How long a lost connection still counts as present, in milliseconds. */
  readonly graceMs: number;
}

export interface RoomCounts {
  messageAccepted(room: string, seconds: number): void;
  signalAccepted(room: string): void;
}

/** The room's policy. Throws `forbidden` where neither the token nor the policy gives the permission. */
export function authorize(
  context: RoomContext,
  connection: Connection,
  room: string,
  permission: Permission,
): RoomPolicy {
  const policy = context.types.of(room);
  const { permissions } = connection.identity;
  if (may(permissions, policy, room, permission)) return policy;
  throw new RoomcastError("forbidden", denial(permissions, policy, room, permission));
}

/** Throws `rate_limited` where the connection has used its budget up. */
export function takeRate(connection: Connection, kind: RateKind): void {
  const retryAfterMs = connection.rates.take(kind);
  if (retryAfterMs !== undefined) throw new RoomcastError("rate_limited", undefined, { retryAfterMs });
}

/**
 * The JSON text of what a client sent. Throws `bad_request` for what JSON cannot carry and `payload_too_large`, both
 * naming the field.
 */
export function encodeJson(field: string, value: unknown, maxBytes: number): string {
  requireJson(field, value, 0);
  const json = JSON.stringify(value);
  const bytes = Buffer.byteLength(json);
  if (bytes > maxBytes) {
    throw new RoomcastError("payload_too_large", `${field} has ${bytes} bytes once encoded, ${maxBytes} are allowed`);
  }
  return json;
}

/** Binary has no place in the log, and too deep a nesting would exhaust the stack of whoever walks it. */
function requireJson(field: string, value: unknown, depth: number): void {
  if (typeof value !== "object" || value === null) return;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    throw new RoomcastError("bad_request", `${field} must be JSON, and has binary in it`);
  }
  requireDepth(field, depth);
  for (const item of Object.values(value)) requireJson(field, item, depth + 1);
}

/** Throws `bad_request` where a value is nested deeper than anybody should have to walk. */
export function requireDepth(field: string, depth: number): void {
  if (depth < BOUNDS.jsonDepth) return;
  throw new RoomcastError("bad_request", `${field} is nested more than ${BOUNDS.jsonDepth} levels deep`);
}

/** Joins that share a reading share the parsing. */
const parsed = new WeakMap<Entry, Message>();

/** Entries as an acknowledgement carries them. */
export function messagesOf(entries: readonly Entry[]): Message[] {
  return entries.map((entry) => {
    const known = parsed.get(entry);
    if (known !== undefined) return known;
    const message = JSON.parse(entry.body.toString()) as Message;
    parsed.set(entry, message);
    return message;
  });
}
