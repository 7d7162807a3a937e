import { randomUUID } from "node:crypto";
import * as z from "zod";
import type { WireError } from "./errors.ts";

/** Bounds that are part of the contract: they are not configuration. */
export const BOUNDS = {
  roomBytes: 200,
  idBytes: 128,
  eventBytes: 128,
  nameBytes: 256,
  epochBytes: 64,
  /** Most messages in one ack, whatever was asked for. */
  pageMessages: 500,
  /** Most bytes of messages in one ack. */
  pageBytes: 256 * 1024,
  /** Most messages in one call of the application's servers. */
  batchMessages: 1_000,
  /** Most members in one ack. */
  pageMembers: 100,
  /** Most bytes of members in one ack, or in one summary: with a page of messages less than twice the least `MAX_OUTBOUND_BYTES`. */
  pageMembersBytes: 192 * 1024,
  /** The user id that the application's own servers speak under. */
  serverUser: "server",
  /** Nesting of `data` and `state`: deeper, and encoding it could exhaust the stack. */
  jsonDepth: 200,
  /** Longest ban or block, in seconds: ten years. */
  banSeconds: 315_360_000,
} as const;

const CONTROL_OR_SPACE = /[\p{Cc}\p{Zs}\p{Zl}\p{Zp}\s]/u;
const SOCKET_ID = /^[A-Za-z0-9_-]{20}$/;

/** Says what is wrong with a room's name, or nothing. */
export function roomNameProblem(room: string): string | undefined {
  const bytes = Buffer.byteLength(room);
  if (bytes < 1 || bytes > BOUNDS.roomBytes) return `must be 1 to ${BOUNDS.roomBytes} bytes`;
  if (!room.isWellFormed()) return "must be well-formed Unicode";
  if (CONTROL_OR_SPACE.test(room)) return "must not contain white space or control characters";
  if (/[{}*]/.test(room)) return "must not contain braces or *";
  if (SOCKET_ID.test(room)) return "must not look like a connection's id (20 characters of A-Za-z0-9_-)";
  if (room.startsWith("_")) return "must not begin with _: these rooms are the service's own";
  return undefined;
}

/** The part of a room's name that picks its policy: what stands before the first colon. */
export function roomType(room: string): string {
  const colon = room.indexOf(":");
  return colon === -1 ? room : room.slice(0, colon);
}

const OWN_ROOM = "user:";

/** The room of a user's own: it needs no claim of its user, and is open to nobody else without one. */
export function roomOfUser(user: string): string {
  return OWN_ROOM + user;
}

/** Asked at every request: the name is only made where it may be the one. */
export function isRoomOfUser(room: string, user: string): boolean {
  return room.length === OWN_ROOM.length + user.length && room === roomOfUser(user);
}

function text(maxBytes: number) {
  return z
    .string()
    .superRefine((value, context) => {
      const bytes = Buffer.byteLength(value);
      if (bytes < 1 || bytes > maxBytes)
        context.addIssue({ code: "custom", message: `must be 1 to ${maxBytes} bytes` });
      else if (!value.isWellFormed()) context.addIssue({ code: "custom", message: "must be well-formed Unicode" });
    })
    .meta(inBytes(maxBytes, ""));
}

/** How descriptions tell a bound in bytes: there are never more characters than bytes. */
function inBytes(maxBytes: number, more: string) {
  return { minLength: 1, maxLength: maxBytes, description: `1 to ${maxBytes} bytes of well-formed Unicode${more}` };
}

export const roomSchema = z
  .string()
  .superRefine((room, context) => {
    const problem = roomNameProblem(room);
    if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
  })
  .meta(inBytes(BOUNDS.roomBytes, " without white space, control characters, braces or *"));
export const userSchema = text(BOUNDS.idBytes);
export const idSchema = text(BOUNDS.idBytes);
export const eventSchema = text(BOUNDS.eventBytes);
export const seqSchema = z.int().min(1);
/** Whom a message of the application's own servers comes from. */
export const fromSchema = z.object({ id: userSchema, name: text(BOUNDS.nameBytes).optional() });
/** How long somebody is kept out, in seconds. */
export const banSecondsSchema = z.int().min(1).max(BOUNDS.banSeconds);
/** How many messages one page holds at most. */
export const limitSchema = z.int().min(1).max(BOUNDS.pageMessages);
/** Where a page of members goes on. */
export const cursorSchema = z.string().max(64);

/** Where a client says that it stopped. Without `ts` a fork before `seq` cannot be told. */
const sinceSchema = z.object({
  epoch: z.string().max(BOUNDS.epochBytes),
  seq: z.int().min(0),
  ts: z.int().min(0).optional(),
});

const objectSchema = z
  .custom<Record<string, unknown>>(
    (value) => typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value),
    "must be an object",
  )
  .meta({ type: "object" });

/** `data` is required and may be `null`; what JSON cannot carry is found when it is encoded. */
export const required = z.custom<unknown>((value) => value !== undefined, "is required");

/** The requests of clients: names, fields and bounds. Unknown fields are dropped, so that clients may be newer. */
export const REQUESTS = {
  joinRoom: z.object({
    room: roomSchema,
    since: sinceSchema.optional(),
    history: z.int().min(0).max(BOUNDS.pageMessages).optional(),
    state: objectSchema.optional(),
  }),
  leaveRoom: z.object({ room: roomSchema }),
  sendMessage: z.object({
    room: roomSchema,
    data: required,
    id: idSchema.default(() => randomUUID()),
    event: eventSchema.default("message"),
  }),
  sendSignal: z.object({ room: roomSchema, event: eventSchema, data: z.unknown().optional() }),
  getHistory: z
    .object({
      room: roomSchema,
      before: seqSchema.optional(),
      after: z.int().min(0).optional(),
      limit: limitSchema.default(50),
    })
    .refine((query) => query.before === undefined || query.after === undefined, {
      path: ["before"],
      message: "and after exclude each other",
    }),
  getMembers: z.object({
    room: roomSchema,
    cursor: cursorSchema.optional(),
    limit: z.int().min(1).max(BOUNDS.pageMembers).default(BOUNDS.pageMembers),
  }),
  setState: z.object({ room: roomSchema, state: objectSchema }),
  renewToken: z.object({ token: z.string().min(1) }),
  kickMember: z.object({ room: roomSchema, user: userSchema, banSeconds: banSecondsSchema.optional() }),
  unbanMember: z.object({ room: roomSchema, user: userSchema }),
  closeRoom: z.object({ room: roomSchema }),
} as const;

export type RequestName = keyof typeof REQUESTS;
export type Request<Name extends RequestName> = z.output<(typeof REQUESTS)[Name]>;

/** A place in a room's log, as clients keep it for `since`. */
export interface WirePosition {
  epoch: string;
  seq: number;
  ts: number;
}

export interface WireMember {
  id: string;
  name?: string;
  state?: Record<string, unknown>;
}

/** The `message` event. */
export interface Message {
  seq: number;
  ts: number;
  room: string;
  id: string;
  from: { id: string; name?: string };
  event: string;
  data: unknown;
  /** It was taken back: `data` is `null`, and nobody is given what it was. */
  removed?: true;
  /** In a page: not a message, but the place in the log at which the message of this `seq` was taken back. */
  removes?: number;
}

/** What an ok acknowledgement adds to `{ ok: true }`. */
export interface Replies {
  joinRoom: {
    room: string;
    position: WirePosition;
    recovered: boolean;
    messages: Message[];
    members: WireMember[];
    cursor?: string;
    memberCount: number;
    version: number;
  };
  leaveRoom: Record<never, never>;
  sendMessage: { id: string; seq: number; ts: number; duplicate: boolean };
  sendSignal: Record<never, never>;
  getHistory: { messages: Message[]; position: WirePosition; more: boolean };
  getMembers: { members: WireMember[]; memberCount: number; version: number; cursor?: string };
  setState: Record<never, never>;
  renewToken: { expiresAt: number };
  kickMember: { until?: number };
  unbanMember: Record<never, never>;
  closeRoom: Record<never, never>;
}

export type Ack<Name extends RequestName> =
  | ({ ok: true } & Replies[Name])
  | { ok: false; id?: string; error: WireError };

/** The limits that `welcome` tells, in the configuration's units. */
export interface WelcomeLimits {
  /** Most bytes of `data`, once encoded. */
  payload: number;
  /** Most rooms per connection. */
  rooms: number;
  /** Requests per second by kind; empty where rate limits are off. */
  rates: Record<string, number>;
  /** For how many seconds an id is remembered. */
  dedupe: number;
  /** For how many seconds a lost connection still counts as present. */
  grace: number;
}

/** Events to clients. */
export interface ServerEvents {
  welcome: {
    connectionId: string;
    user: { id: string; name?: string };
    node: string;
    expiresAt: number;
    limits: WelcomeLimits;
  };
  message: Message;
  messageRemoved: { room: string; seq: number; at: { seq: number; ts: number } };
  signal: { room: string; from: { id: string; name?: string }; event: string; data?: unknown };
  userJoined: { room: string; user: WireMember; memberCount: number; version: number };
  userLeft: { room: string; user: WireMember; memberCount: number; version: number };
  userUpdated: { room: string; user: WireMember; version: number };
  presence: {
    room: string;
    joined: WireMember[];
    left: WireMember[];
    memberCount: number;
    version: number;
    partial?: boolean;
  };
  resync: { room: string; reason: "epoch" | "behind" | "log_unavailable"; withinMs: number };
  stalled: { since: number };
  restored: Record<string, never>;
  removed: { room: string; reason: "kicked" | "banned" | "closed" | "forbidden"; until?: number };
  tokenExpiring: { expiresAt: number };
  draining: { reconnectWithinMs: number };
  ending: { code: string; message: string };
}
