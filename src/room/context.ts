import type { Application, Decision } from "../auth/application.ts";
import { denial, may, type Permission, permits } from "../auth/permissions.ts";
import type { RoomPolicy, RoomTypes } from "../auth/room-types.ts";
import { RoomcastError } from "../errors.ts";
import type { Feed } from "../feed/feed.ts";
import type { Feeds } from "../feed/feeds.ts";
import type { Entry, RoomLog } from "../log/room-log.ts";
import type { Blocks } from "../moderation/blocks.ts";
import type { Moderation } from "../moderation/moderation.ts";
import type { Presence } from "../presence/presence.ts";
import type { Seats } from "../presence/seats.ts";
import type { Message } from "../protocol.ts";
import type { Call } from "./call.ts";
import type { Connection } from "./connection.ts";
import type { TimedHooks } from "./hooks.ts";
import type { RateKind, RoomRateLimits, RoomRates } from "./rates.ts";
import type { SendTurns } from "./send-turns.ts";
import type { Turns } from "./turns.ts";

/** What the verbs of a room work with. */
export interface RoomContext {
  readonly types: RoomTypes;
  /** Whom to ask about rooms that tokens do not cover. */
  readonly application: Application | undefined;
  /** What an embedding application does before and after. */
  readonly hooks: TimedHooks;
  readonly sendTurns: SendTurns;
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
  readonly roomRates: RoomRates;
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

/** What became of a join with `since`: continued, not to be continued from there, or asked without `history`. */
export type RecoveryOutcome = "recovered" | "reload" | "forbidden";

/** What the verbs count: these only add up. */
export interface RoomCounts {
  /** A message of so many bytes was stored; `seconds` is what that took. */
  messageAccepted(bytes: number, seconds: number, duplicate: boolean): void;
  signalAccepted(): void;
  recovery(outcome: RecoveryOutcome): void;
  rateLimited(limit: "room"): void;
}

/** Whether a connection may do something in a room, as far as is known without asking anybody. */
export function allows(context: RoomContext, connection: Connection, room: string, permission: Permission): boolean {
  const { permissions } = connection.identity;
  if (may(permissions, context.types.of(room), room, permission)) return true;
  const grant = connection.joinedIn(room)?.grant;
  if (grant === undefined || permissions.of(room) !== undefined) return false;
  return permits(grant.bits, permission) && grant.until > performance.now();
}

/** Whether the application decides this: neither the token nor the room's type says anything of it. */
export function mayAsk(
  { application, types }: RoomContext,
  { identity: { permissions } }: Connection,
  room: string,
  permission: Permission,
): boolean {
  if (application === undefined || permissions.of(room) !== undefined) return false;
  return !may(permissions, types.of(room), room, permission);
}

/** The room's policy. Throws `forbidden` where neither the token nor the policy gives the permission. */
export function authorize(
  context: RoomContext,
  connection: Connection,
  room: string,
  permission: Permission,
): RoomPolicy {
  const policy = context.types.of(room);
  if (allows(context, connection, room, permission)) return policy;
  throw new RoomcastError("forbidden", denial(connection.identity.permissions, policy, room, permission));
}

/** Throws `forbidden` where the application's decision does not give the permission. */
export function requireDecided({ bits }: Decision, room: string, permission: Permission): void {
  if (permits(bits, permission)) return;
  throw new RoomcastError(
    "forbidden",
    `no pattern in the token's rooms covers ${room}, and the application allows no "${permission}" there`,
  );
}

/** What the application says of this connection in a room. Rejects with `unavailable`. */
export async function askApplication(
  context: RoomContext,
  { identity: { user } }: Connection,
  room: string,
  permission: Permission,
): Promise<Decision> {
  return await applicationOf(context).decide({ user, room, permission });
}

/** The same of its joining, which is to last. */
export async function askToStay(
  context: RoomContext,
  { identity: { user } }: Connection,
  room: string,
): Promise<Decision> {
  return await applicationOf(context).decideToStay({ user, room, permission: "join" });
}

function applicationOf({ application }: RoomContext): Application {
  if (application === undefined) throw new Error("there is no application to ask");
  return application;
}

/** `authorize` for reading, which needs no join: it may ask the application. Takes the rate before that costs anything. */
export async function authorizeReading(
  context: RoomContext,
  connection: Connection,
  room: string,
  permission: Permission,
  call: Pick<Call<never>, "within">,
): Promise<RoomPolicy> {
  const undecided = !allows(context, connection, room, permission) && mayAsk(context, connection, room, permission);
  const policy = undecided ? context.types.of(room) : authorize(context, connection, room, permission);
  takeRate(connection, "read");
  if (undecided) {
    requireDecided(await call.within(askApplication(context, connection, room, permission)), room, permission);
  }
  return policy;
}

/** Throws `rate_limited` where the connection has used its budget up. */
export function takeRate(connection: Connection, kind: RateKind): void {
  const retryAfterMs = connection.rates.take(kind);
  if (retryAfterMs !== undefined) throw new RoomcastError("rate_limited", undefined, { retryAfterMs });
}

/** Throws `rate_limited` where everybody on this node together has used the room's budget up. */
export function takeRoomRate(context: RoomContext, room: string, feed: Feed, kind: keyof RoomRateLimits): void {
  const retryAfterMs = context.roomRates.take(feed, kind);
  if (retryAfterMs === undefined) return;
  context.counts.rateLimited("room");
  throw new RoomcastError("rate_limited", `${room} takes no more from this node at present`, { retryAfterMs });
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
