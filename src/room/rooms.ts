import { randomUUID } from "node:crypto";
import type { RoomTypes } from "../auth/room-types.ts";
import { RoomcastError } from "../errors.ts";
import type { Feeds } from "../feed/feeds.ts";
import type { RoomLog } from "../log/room-log.ts";
import type { Presence } from "../presence/presence.ts";
import type { RoomDirectory, RoomPage, RoomState } from "../presence/room-directory.ts";
import { BOUNDS, type Message, type Replies, type ServerEvents } from "../protocol.ts";
import type { RoomCounts } from "./context.ts";
import { restOf } from "./draft.ts";
import { type HistoryQuery, readHistory } from "./history.ts";
import type { TimedHooks } from "./hooks.ts";
import { encodeJson } from "./json.ts";
import { readMembers } from "./members.ts";
import { takeBack } from "./take-back.ts";

/** A message of the application's own servers. */
export interface ServerMessage {
  readonly room: string;
  /** A random one where it is left out. */
  readonly id?: string | undefined;
  readonly event: string;
  readonly data: unknown;
  readonly from: Message["from"];
}

export interface RoomsOptions {
  readonly types: RoomTypes;
  readonly feeds: Pick<Feeds, "get">;
  readonly log: RoomLog;
  readonly presence: Presence;
  readonly directory: RoomDirectory;
  /** Most bytes of `data`, once encoded. */
  readonly payloadBytes: number;
  readonly counts: RoomCounts;
  readonly hooks: Pick<TimedHooks, "afterSend">;
  /** Whether this node hears Redis. */
  hearing(): boolean;
  /** To everybody in the room, by the stock adapter. */
  signal(event: ServerEvents["signal"]): void;
}

/**
 * Rooms as the application's own servers see them: they may do everything, from any node, whoever is in the room.
 * Whoever calls has checked names and bounds. All reject with `unavailable` when the outcome is unknown.
 */
export class Rooms {
  readonly #options: RoomsOptions;

  constructor(options: RoomsOptions) {
    this.#options = options;
  }

  /**
   * Stores a message; the same `id` of the same `sender` again is acknowledged with the first one's place. Appends before
   * it awaits anything, so that what is sent one after the other to one room is stored in that order. Rejects with
   * `bad_request` or `payload_too_large` for what cannot be stored.
   */
  async send(sender: string, message: ServerMessage): Promise<Replies["sendMessage"]> {
    const { types, feeds, log, payloadBytes, counts, hooks } = this.#options;
    const { room, id = randomUUID(), from, event } = message;
    const data = encodeJson("data", message.data, payloadBytes);
    const started = performance.now();
    const rest = restOf({ room, id, from, event, data });
    const stored = await log.append(room, {
      space: "k",
      sender,
      id,
      rest,
      known: feeds.get(room)?.known,
      retention: types.of(room).retention,
    });
    feeds.get(room)?.stored(stored);
    const { seq, ts, duplicate } = stored;
    counts.messageAccepted(Buffer.byteLength(rest), (performance.now() - started) / 1_000, duplicate);
    if (!duplicate) hooks.afterSend?.({ seq, ts, room, id, from, event, data: message.data });
    return { id, seq, ts, duplicate };
  }

  /** Accepted, at most once, never stored. Throws `unavailable` while this node knows Redis to be away. */
  signal(room: string, event: string, data: unknown): void {
    const { payloadBytes, counts, hearing, signal } = this.#options;
    if (data !== undefined) encodeJson("data", data, payloadBytes);
    if (!hearing()) throw new RoomcastError("unavailable", "this node does not hear Redis: the signal was not sent");
    const from = { id: BOUNDS.serverUser };
    signal(data === undefined ? { room, from, event } : { room, from, event, data });
    counts.signalAccepted();
  }

  /** A page of the log, oldest first; `position` is the log's end. */
  history(room: string, query: HistoryQuery): Promise<Replies["getHistory"]> {
    return readHistory(this.#options.log, room, query, this.#options.types.of(room).retention);
  }

  /** Takes a message back. May be repeated. Rejects with `not_found` where no message stands at `seq`. */
  takeBack(room: string, seq: number): Promise<void> {
    const { log, feeds, types } = this.#options;
    return takeBack(log, feeds, room, seq, types.of(room).retention);
  }

  /** A page of who is there, in the order of their coming. Rejects with `bad_request` for a cursor that is none of ours. */
  members(room: string, cursor: string | undefined, limit: number): Promise<Replies["getMembers"]> {
    return readMembers(this.#options.presence, room, cursor, limit);
  }

  /** A page of the rooms that somebody is in. Rejects with `bad_request` for a cursor that is none of ours. */
  list(type: string | undefined, cursor: string | undefined, limit: number): Promise<RoomPage> {
    return this.#options.directory.list(type, cursor, limit);
  }

  /** How a room is now. Rejects with `not_found` where nobody ever used it. */
  async look(room: string): Promise<RoomState> {
    const state = await this.#options.directory.look(room);
    if (state === undefined) throw new RoomcastError("not_found", `nobody has used ${room}, or not for long`);
    return state;
  }
}
