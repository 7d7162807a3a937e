import * as z from "zod";
import { ERRORS, type ErrorCode, type WireError } from "./errors.ts";
import type { Message, Replies, RequestName, ServerEvents, WireMember, WirePosition } from "./protocol.ts";

/** What the service says, as schemas: for the descriptions, and for tests that hold answers to them. */
const whole = z.int().min(0);
const moment = whole.meta({ description: "Unix milliseconds" });

export const fromPayload = z.object({ id: z.string(), name: z.string().optional() });

export const positionPayload: z.ZodType<WirePosition> = z
  .object({ epoch: z.string(), seq: whole, ts: moment })
  .meta({ description: "A place in a room's log; an empty one is at seq 0" });

export const memberPayload: z.ZodType<WireMember> = z.object({
  id: z.string(),
  name: z.string().optional(),
  state: z.record(z.string(), z.unknown()).optional(),
});

export const messagePayload: z.ZodType<Message> = z.object({
  seq: z.int().min(1),
  ts: moment,
  room: z.string(),
  id: z.string(),
  from: fromPayload,
  event: z.string(),
  data: z.unknown(),
  removed: z.literal(true).optional().meta({ description: "It was taken back: data is null" }),
  removes: z.int().min(1).optional().meta({ description: "Not a message, but the taking back of the one at this seq" }),
});

const sent = { id: z.string(), seq: z.int().min(1), ts: moment, duplicate: z.boolean() };
export const sentPayload: z.ZodType<Replies["sendMessage"]> = z.object(sent);

export const historyPayload: z.ZodType<Replies["getHistory"]> = z.object({
  messages: z.array(messagePayload),
  position: positionPayload,
  more: z.boolean(),
});

export const membersPayload: z.ZodType<Replies["getMembers"]> = z.object({
  members: z.array(memberPayload),
  memberCount: whole,
  version: whole,
  cursor: z.string().optional(),
});

const roomState = { room: z.string(), members: whole, connections: whole, position: positionPayload };
/** Whether everything is in an answer that is put together from many parts, and what is not. */
const completeness = { complete: z.boolean(), missing: z.array(z.string()).optional() };

export const roomPayload = z.object({ ...roomState, complete: z.literal(true) });

export const roomsPayload = z.object({
  rooms: z.array(z.object(roomState)),
  cursor: z.string().optional(),
  ...completeness,
});

export const nodesPayload = z.object({
  nodes: z.array(
    z.object({
      id: z.string().meta({ description: "One life of the node's process" }),
      name: z.string(),
      startedAt: moment,
      connections: whole,
      rooms: whole.meta({ description: "Rooms that it follows" }),
      eventLoopUtilization: z.number().min(0).max(1),
      draining: z.boolean(),
      version: z.string(),
    }),
  ),
  ...completeness,
});

/** Until when somebody is kept out, if at all. */
export const untilPayload: z.ZodType<Replies["kickMember"]> = z.object({ until: moment.optional() });

export const errorPayload: z.ZodType<WireError> = z.object({
  code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
  message: z.string(),
  retryable: z.boolean(),
  retryAfterMs: whole.optional(),
});

/** What became of one message among many. */
export type BatchResult = ({ ok: true } & Replies["sendMessage"]) | { ok: false; id?: string; error: WireError };

export const batchPayload: z.ZodType<{ results: BatchResult[] }> = z.object({
  results: z.array(
    z.discriminatedUnion("ok", [
      z.object({ ok: z.literal(true), ...sent }),
      z.object({ ok: z.literal(false), id: z.string().optional(), error: errorPayload }),
    ]),
  ),
});

export const nothingPayload = z.object({});

/** A webhook's delivery that was tried for its whole time in vain. */
export interface DeadDelivery {
  id: string;
  endpoint: string;
  since: number;
  diedAt: number;
  attempts: number;
  error: string;
  events: { id: string; type: string; timestamp: string; data: unknown }[];
}

export interface DeadPage {
  deliveries: DeadDelivery[];
  cursor?: string | undefined;
}

export const deadPayload: z.ZodType<DeadPage> = z.object({
  deliveries: z.array(
    z.object({
      id: z.string(),
      endpoint: z.string(),
      since: moment,
      diedAt: moment,
      attempts: whole,
      error: z.string(),
      events: z.array(z.object({ id: z.string(), type: z.string(), timestamp: z.string(), data: z.unknown() })),
    }),
  ),
  cursor: z.string().optional(),
});

/** What the ok acknowledgement of each request adds to `{ok: true}`. */
export const REPLIES: { readonly [Name in RequestName]: z.ZodType<Replies[Name]> } = {
  joinRoom: z.object({
    room: z.string(),
    position: positionPayload,
    recovered: z.boolean(),
    messages: z.array(messagePayload),
    members: z.array(memberPayload),
    cursor: z.string().optional(),
    memberCount: whole,
    version: whole,
  }),
  leaveRoom: nothingPayload,
  sendMessage: sentPayload,
  sendSignal: nothingPayload,
  getHistory: historyPayload,
  getMembers: membersPayload,
  setState: nothingPayload,
  renewToken: z.object({ expiresAt: moment }),
  kickMember: untilPayload,
  unbanMember: nothingPayload,
  closeRoom: nothingPayload,
};

const presenceChange = z.object({ room: z.string(), user: memberPayload, memberCount: whole, version: whole });

/** The payload of each event to clients. */
export const EVENTS: { readonly [Name in keyof ServerEvents]: z.ZodType<ServerEvents[Name]> } = {
  welcome: z.object({
    connectionId: z.string(),
    user: fromPayload,
    node: z.string(),
    expiresAt: moment,
    limits: z.object({
      payload: whole.meta({ description: "most bytes of data" }),
      rooms: whole.meta({ description: "most rooms per connection" }),
      rates: z.record(z.string(), z.number()).meta({ description: "requests per second, by kind" }),
      dedupe: whole.meta({ description: "seconds for which an id is remembered" }),
      grace: z.number().meta({ description: "seconds for which a lost connection counts as present" }),
    }),
  }),
  message: messagePayload,
  messageRemoved: z.object({ room: z.string(), seq: whole, at: z.object({ seq: whole, ts: moment }) }),
  signal: z.object({ room: z.string(), from: fromPayload, event: z.string(), data: z.unknown().optional() }),
  userJoined: presenceChange,
  userLeft: presenceChange,
  userUpdated: z.object({ room: z.string(), user: memberPayload, version: whole }),
  presence: z.object({
    room: z.string(),
    joined: z.array(memberPayload),
    left: z.array(memberPayload),
    memberCount: whole,
    version: whole,
    partial: z.boolean().optional(),
  }),
  resync: z.object({ room: z.string(), reason: z.enum(["epoch", "behind", "log_unavailable"]), withinMs: whole }),
  stalled: z.object({ since: moment }),
  restored: z.record(z.string(), z.never()),
  removed: z.object({
    room: z.string(),
    reason: z.enum(["kicked", "banned", "closed", "forbidden"]),
    until: moment.optional(),
  }),
  tokenExpiring: z.object({ expiresAt: moment }),
  draining: z.object({ reconnectWithinMs: whole }),
  ending: z.object({ code: z.string(), message: z.string() }),
};
