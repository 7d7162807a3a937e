import * as z from "zod";
import {
  batchPayload,
  deadPayload,
  historyPayload,
  membersPayload,
  nodesPayload,
  nothingPayload,
  roomPayload,
  roomsPayload,
  sentPayload,
  untilPayload,
} from "./payloads.ts";
import {
  BOUNDS,
  banSecondsSchema,
  cursorSchema,
  eventSchema,
  fromSchema,
  idSchema,
  limitSchema,
  required,
  roomSchema,
  seqSchema,
  userSchema,
} from "./protocol.ts";

/** One call of `/v1`: where it is, what it takes, and what it answers. */
export interface CallRow {
  readonly method: "get" | "post" | "delete";
  /** Below `/v1`, with the names of `params` in braces. */
  readonly path: string;
  readonly does: string;
  readonly params: z.ZodObject;
  readonly query: z.ZodObject;
  /** JSON; undefined where the call reads no body. */
  readonly body: z.ZodType | undefined;
  /** The body's form for the description, where parts of it are checked one by one. */
  readonly bodyShown?: z.ZodType;
  /** The status of an ok answer. */
  readonly status: 200 | 201 | 202;
  readonly answer: z.ZodType;
}

/** In paths and queries numbers are text. */
function inText<Schema extends z.ZodType<number, number>>(schema: Schema) {
  return z
    .string()
    .regex(/^\d{1,15}$/, "must be a whole number")
    .transform(Number)
    .pipe(schema);
}

const none = z.object({});
const ofRoom = z.object({ room: roomSchema });
const ofUser = z.object({ user: userSchema });
const ofMessage = z.object({ room: roomSchema, seq: inText(seqSchema) });
const ofMember = z.object({ room: roomSchema, user: userSchema });

/** What the application's servers may say of a message; the rest is in the path. */
const outgoing = z.object({
  id: idSchema.optional(),
  event: eventSchema.default("message"),
  data: required,
  from: fromSchema.default({ id: BOUNDS.serverUser }),
});
/** One message among many; each is checked by itself, so that a wrong one does not stop the others. */
export const batchMessage = outgoing.extend({ room: roomSchema });
const signal = z.object({ event: eventSchema, data: z.unknown().optional() });

const history = z
  .object({
    before: inText(seqSchema).optional(),
    after: inText(z.int().min(0)).optional(),
    limit: inText(limitSchema).default(50),
  })
  .refine((query) => query.before === undefined || query.after === undefined, {
    path: ["before"],
    message: "and after exclude each other",
  });

/** Every call of the application's own servers. Unknown fields are dropped, so that callers may be newer. */
export const CALLS = {
  sendMessage: {
    method: "post",
    path: "/rooms/{room}/messages",
    does: "stores a message and sends it to everybody in the room",
    params: ofRoom,
    query: none,
    body: outgoing,
    status: 201,
    answer: sentPayload,
  },
  sendMessages: {
    method: "post",
    path: "/messages",
    does: "sends up to 1,000 messages to any rooms; answers what became of each, in order",
    params: none,
    query: none,
    body: z.object({ messages: z.array(z.unknown()).min(1).max(BOUNDS.batchMessages) }),
    bodyShown: z.object({ messages: z.array(batchMessage).min(1).max(BOUNDS.batchMessages) }),
    status: 200,
    answer: batchPayload,
  },
  getHistory: {
    method: "get",
    path: "/rooms/{room}/messages",
    does: "reads a page of the log, oldest first",
    params: ofRoom,
    query: history,
    body: undefined,
    status: 200,
    answer: historyPayload,
  },
  removeMessage: {
    method: "delete",
    path: "/rooms/{room}/messages/{seq}",
    does: "takes one message back: its `seq` stays, its data goes, and members get `messageRemoved`",
    params: ofMessage,
    query: none,
    body: undefined,
    status: 200,
    answer: nothingPayload,
  },
  sendSignal: {
    method: "post",
    path: "/rooms/{room}/signals",
    does: "sends something to everybody in the room, at most once, and stores nothing",
    params: ofRoom,
    query: none,
    body: signal,
    status: 202,
    answer: nothingPayload,
  },
  listRooms: {
    method: "get",
    path: "/rooms",
    does: "reads a page of the rooms that somebody is in, of one type or of all",
    params: none,
    query: z.object({
      type: z
        .string()
        .min(1)
        .max(BOUNDS.roomBytes)
        .regex(/^[^:]*$/, "must be a type: it ends before the first colon of a room")
        .optional(),
      cursor: z.string().min(1).max(400).optional(),
      limit: inText(z.int().min(1).max(BOUNDS.pageMembers)).default(BOUNDS.pageMembers),
    }),
    body: undefined,
    status: 200,
    answer: roomsPayload,
  },
  getRoom: {
    method: "get",
    path: "/rooms/{room}",
    does: "says how many are in a room, and where its log ends",
    params: ofRoom,
    query: none,
    body: undefined,
    status: 200,
    answer: roomPayload,
  },
  getMembers: {
    method: "get",
    path: "/rooms/{room}/members",
    does: "reads a page of who is in the room, in the order of their coming",
    params: ofRoom,
    query: z.object({
      cursor: cursorSchema.optional(),
      limit: inText(z.int().min(1).max(BOUNDS.pageMembers)).default(BOUNDS.pageMembers),
    }),
    body: undefined,
    status: 200,
    answer: membersPayload,
  },
  kickMember: {
    method: "delete",
    path: "/rooms/{room}/members/{user}",
    does: "puts a user out of the room, and with `banSeconds` keeps them out",
    params: ofMember,
    query: z.object({ banSeconds: inText(banSecondsSchema).optional() }),
    body: undefined,
    status: 200,
    answer: untilPayload,
  },
  unbanMember: {
    method: "delete",
    path: "/rooms/{room}/bans/{user}",
    does: "lifts a ban",
    params: ofMember,
    query: none,
    body: undefined,
    status: 200,
    answer: nothingPayload,
  },
  closeRoom: {
    method: "delete",
    path: "/rooms/{room}",
    does: "puts everybody out of the room, and removes its messages",
    params: ofRoom,
    query: none,
    body: undefined,
    status: 200,
    answer: nothingPayload,
  },
  sendToUser: {
    method: "post",
    path: "/users/{user}/messages",
    does: "as for a room: to `user:{user}`, the room of the user's own",
    params: ofUser,
    query: none,
    body: outgoing,
    status: 201,
    answer: sentPayload,
  },
  signalToUser: {
    method: "post",
    path: "/users/{user}/signals",
    does: "as for a room: to `user:{user}`",
    params: ofUser,
    query: none,
    body: signal,
    status: 202,
    answer: nothingPayload,
  },
  disconnectUser: {
    method: "delete",
    path: "/users/{user}/connections",
    does: "ends a user's connections everywhere, and with `blockSeconds` keeps them out",
    params: ofUser,
    query: z.object({ blockSeconds: inText(banSecondsSchema).optional() }),
    body: undefined,
    status: 200,
    answer: untilPayload,
  },
  unblockUser: {
    method: "delete",
    path: "/users/{user}/block",
    does: "lifts a block",
    params: ofUser,
    query: none,
    body: undefined,
    status: 200,
    answer: nothingPayload,
  },
  listNodes: {
    method: "get",
    path: "/nodes",
    does: "lists the nodes that live, and how each of them is",
    params: none,
    query: none,
    body: undefined,
    status: 200,
    answer: nodesPayload,
  },
  listDeadWebhooks: {
    method: "get",
    path: "/webhooks/dead",
    does: "reads a page of the webhooks' deliveries that were given up, the oldest first",
    params: none,
    query: z.object({ cursor: cursorSchema.optional(), limit: inText(limitSchema).default(50) }),
    body: undefined,
    status: 200,
    answer: deadPayload,
  },
  replayDeadWebhook: {
    method: "post",
    path: "/webhooks/dead/{id}/replay",
    does: "tries one of them again, as if it were new",
    params: z.object({ id: idSchema }),
    query: none,
    body: undefined,
    status: 200,
    answer: nothingPayload,
  },
} as const satisfies Record<string, CallRow>;

export type CallName = keyof typeof CALLS;
export type CallAnswer<Name extends CallName> = z.output<(typeof CALLS)[Name]["answer"]>;
type BodyOf<Row> = Row extends { readonly body: infer Body extends z.ZodType } ? z.output<Body> : undefined;

/** What a call brings, checked. */
export interface CallInput<Name extends CallName> {
  readonly params: z.output<(typeof CALLS)[Name]["params"]>;
  readonly query: z.output<(typeof CALLS)[Name]["query"]>;
  readonly body: BodyOf<(typeof CALLS)[Name]>;
}
