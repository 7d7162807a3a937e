import { batchMessage, type CallAnswer } from "../calls.ts";
import { RoomcastError } from "../errors.ts";
import { checkFields } from "../fields.ts";
import type { BatchResult } from "../payloads.ts";
import { idSchema, roomNameProblem, roomOfUser } from "../protocol.ts";
import type { Rooms } from "../room/rooms.ts";
import { type Caller, completeness, type Handlers } from "./call.ts";

/** What `/v1` needs of `Rooms`. */
export type RoomsOfApplication = Pick<Rooms, "send" | "signal" | "history" | "members" | "list" | "look" | "takeBack">;

type OfRooms =
  | "sendMessage"
  | "sendMessages"
  | "sendToUser"
  | "sendSignal"
  | "signalToUser"
  | "getHistory"
  | "removeMessage"
  | "listRooms"
  | "getRoom"
  | "getMembers";

/** The calls that send to rooms and read them. */
export function roomCalls(rooms: RoomsOfApplication): Pick<Handlers, OfRooms> {
  return {
    sendMessage: ({ params: { room }, body }, caller) =>
      rooms.send(caller.key, { ...body, room, id: messageId(body.id, caller) }),
    sendMessages: ({ body: { messages } }, caller) => sendAll(rooms, messages, caller),
    sendToUser: ({ params: { user }, body }, caller) =>
      rooms.send(caller.key, { ...body, room: ownRoom(user), id: messageId(body.id, caller) }),
    sendSignal: ({ params: { room }, body: { event, data } }) => {
      rooms.signal(room, event, data);
      return {};
    },
    signalToUser: ({ params: { user }, body: { event, data } }) => {
      rooms.signal(ownRoom(user), event, data);
      return {};
    },
    getHistory: ({ params: { room }, query }) => rooms.history(room, query),
    removeMessage: async ({ params: { room, seq } }) => {
      await rooms.takeBack(room, seq);
      return {};
    },
    listRooms: async ({ query: { type, cursor, limit } }) => {
      const page = await rooms.list(type, cursor, limit);
      return {
        rooms: [...page.rooms],
        ...(page.cursor !== undefined && { cursor: page.cursor }),
        ...completeness(page.missing),
      };
    },
    getRoom: async ({ params: { room } }) => ({ ...(await rooms.look(room)), complete: true }),
    getMembers: ({ params: { room }, query: { cursor, limit } }) => rooms.members(room, cursor, limit),
  };
}

/** Throws `bad_request` for a user whose id cannot be part of a room's name. */
function ownRoom(user: string): string {
  const room = roomOfUser(user);
  const problem = roomNameProblem(room);
  if (problem !== undefined) throw new RoomcastError("bad_request", `user has no room: its name ${problem}`);
  return room;
}

/** The body's id, or the header's; throws `bad_request` where they are two. */
function messageId(id: string | undefined, { idempotencyKey }: Caller): string | undefined {
  if (id !== undefined && idempotencyKey !== undefined && id !== idempotencyKey) {
    throw new RoomcastError("bad_request", "id and Idempotency-Key must be the same where both are given");
  }
  return id ?? idempotencyKey;
}

/** All are handed to the log in this turn, in their order: they leave for Redis in one write. */
async function sendAll(
  rooms: RoomsOfApplication,
  messages: readonly unknown[],
  caller: Caller,
): Promise<CallAnswer<"sendMessages">> {
  caller.spend(messages.length - 1);
  return { results: await Promise.all(messages.map((message, index) => sendOne(rooms, message, index, caller))) };
}

async function sendOne(
  rooms: RoomsOfApplication,
  message: unknown,
  index: number,
  caller: Caller,
): Promise<BatchResult> {
  let id: string | undefined;
  try {
    const checked = checkFields(batchMessage, withId(message, index, caller), "the message");
    if (!checked.ok) throw new RoomcastError("bad_request", checked.problems.join("; "));
    id = checked.value.id;
    return { ok: true, ...(await caller.within(rooms.send(caller.key, checked.value))) };
  } catch (error) {
    if (!(error instanceof RoomcastError)) caller.failed(error);
    const refusal = error instanceof RoomcastError ? error : new RoomcastError("internal");
    return { ok: false, ...idOf(message, id), error: refusal.toWire() };
  }
}

/** With an `Idempotency-Key` for all of them, a message without an id has one by its place. */
function withId(message: unknown, index: number, { idempotencyKey }: Caller): unknown {
  if (idempotencyKey === undefined || typeof message !== "object" || message === null) return message;
  return { id: `${idempotencyKey}:${index}`, ...message };
}

/** A failed message tells its id too, so that it can be sent again with the same one. */
function idOf(message: unknown, checked: string | undefined): { id: string } | undefined {
  if (checked !== undefined) return { id: checked };
  if (typeof message !== "object" || message === null || !("id" in message)) return undefined;
  const id = idSchema.safeParse(message.id);
  return id.success ? { id: id.data } : undefined;
}
