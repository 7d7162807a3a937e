import { denial, may, type Permission } from "../auth/permissions.ts";
import type { RoomPolicy, RoomTypes } from "../auth/room-types.ts";
import { RoomcastError } from "../errors.ts";
import type { Feeds } from "../feed/feeds.ts";
import type { Entry, RoomLog } from "../log/room-log.ts";
import type { Blocks } from "../moderation/blocks.ts";
import type { Moderation } from "../moderation/moderation.ts";
import type { Presence } from "../presence/presence.ts";
import type { Seats } from "../presence/seats.ts";
import type { Message } from "../protocol.ts";
import type { Connection } from "./connection.ts";
import type { RateKind } from "./rates.ts";

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

/** Entries as an acknowledgement carries them. */
export function messagesOf(entries: readonly Entry[]): Message[] {
  return entries.map((entry) => JSON.parse(entry.body.toString()) as Message);
}
