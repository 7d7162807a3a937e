import type * as z from "zod";
import { batchMessage } from "../calls.ts";
import { RoomcastError } from "../errors.ts";
import { checkFields } from "../fields.ts";
import type { Moderation } from "../moderation/moderation.ts";
import { type Message, REQUESTS, type Replies } from "../protocol.ts";
import type { Rooms } from "./rooms.ts";

/** Whose ids those of an embedding application are, on all of its nodes. No API key's name has a character like this. */
const SENDER = "@embedded";

/**
 * Rooms for the application that embeds a node, as `/v1` has them for other servers: everything is allowed, in every room,
 * whoever is in it and wherever. All reject with a `RoomcastError`: `bad_request` and `payload_too_large` name the field,
 * `unavailable` means that the outcome is unknown.
 */
export interface NodeRooms {
  /** Stores a message; the same `id` again is answered with the first one's place. `event` is `message` by default, `from` `{id: "server"}`. */
  send(
    room: string,
    message: { data: unknown; event?: string; id?: string; from?: Message["from"] },
  ): Promise<Replies["sendMessage"]>;
  /** To everybody in the room, at most once, never stored. */
  signal(room: string, signal: { event: string; data?: unknown }): Promise<void>;
  /** A page of the log, oldest first: 50 messages by default, 500 and 256 KiB at most; `before` and `after` are exclusive, not both. */
  history(room: string, page?: { before?: number; after?: number; limit?: number }): Promise<Replies["getHistory"]>;
  /** A page of up to 100 members, in the order of their coming. */
  members(room: string, page?: { cursor?: string; limit?: number }): Promise<Replies["getMembers"]>;
  /** Puts a user out of the room on every node, and with `banSeconds` keeps them out until `until` (Unix milliseconds). */
  kick(room: string, user: string, options?: { banSeconds?: number }): Promise<Replies["kickMember"]>;
}

export interface EmbeddedRoomsOptions {
  readonly rooms: Rooms;
  readonly moderation: Pick<Moderation, "kick">;
  /** The one deadline of a whole call, in milliseconds. */
  readonly timeoutMs: number;
}

/** `node.rooms`: checks what it is given like everything else that comes from outside. */
export class EmbeddedRooms implements NodeRooms {
  readonly #options: EmbeddedRoomsOptions;

  constructor(options: EmbeddedRoomsOptions) {
    this.#options = options;
  }

  async send(room: string, message: Parameters<NodeRooms["send"]>[1]): Promise<Replies["sendMessage"]> {
    const checked = check(batchMessage, { ...message, room }, "the message");
    return await this.#inTime(this.#options.rooms.send(SENDER, checked));
  }

  async signal(room: string, signal: Parameters<NodeRooms["signal"]>[1]): Promise<void> {
    const { event, data } = check(REQUESTS.sendSignal, { ...signal, room }, "the signal");
    this.#options.rooms.signal(room, event, data);
  }

  async history(room: string, page: Parameters<NodeRooms["history"]>[1] = {}): Promise<Replies["getHistory"]> {
    const { before, after, limit } = check(REQUESTS.getHistory, { ...page, room }, "the page");
    return await this.#inTime(this.#options.rooms.history(room, { before, after, limit }));
  }

  async members(room: string, page: Parameters<NodeRooms["members"]>[1] = {}): Promise<Replies["getMembers"]> {
    const { cursor, limit } = check(REQUESTS.getMembers, { ...page, room }, "the page");
    return await this.#inTime(this.#options.rooms.members(room, cursor, limit));
  }

  async kick(
    room: string,
    user: string,
    options: Parameters<NodeRooms["kick"]>[2] = {},
  ): Promise<Replies["kickMember"]> {
    const { banSeconds } = check(REQUESTS.kickMember, { ...options, room, user }, "the options");
    const until = await this.#inTime(this.#options.moderation.kick(room, user, banSeconds));
    return until === undefined ? {} : { until };
  }

  async #inTime<Value>(work: Promise<Value>): Promise<Value> {
    const { promise, reject } = Promise.withResolvers<never>();
    const deadline = setTimeout(() => reject(new RoomcastError("unavailable")), this.#options.timeoutMs);
    try {
      return await Promise.race([work, promise]);
    } finally {
      clearTimeout(deadline);
    }
  }
}

function check<Schema extends z.ZodType>(schema: Schema, input: unknown, whole: string): z.output<Schema> {
  const checked = checkFields(schema, input, whole);
  if (!checked.ok) throw new RoomcastError("bad_request", checked.problems.join("; "));
  return checked.value;
}
