import { RoomcastError } from "../errors.ts";
import type { MemoryLog } from "../log/memory-log.ts";
import { roomType } from "../protocol.ts";
import type { MemoryPresence } from "./memory-presence.ts";
import type { RoomDirectory, RoomPage, RoomState } from "./room-directory.ts";

/** Occupied rooms of a node without Redis: what its presence knows anyway. */
export class MemoryDirectory implements RoomDirectory {
  readonly #log: MemoryLog;
  readonly #presence: MemoryPresence;

  constructor(log: MemoryLog, presence: MemoryPresence) {
    this.#log = log;
    this.#presence = presence;
  }

  async add(): Promise<void> {
    return undefined;
  }

  async review(): Promise<void> {
    return undefined;
  }

  async list(type: string | undefined, cursor: string | undefined, limit: number): Promise<RoomPage> {
    const after = cursor === undefined ? "" : Buffer.from(cursor, "base64url").toString();
    if (cursor !== undefined && (after === "" || Buffer.from(after).toString("base64url") !== cursor)) {
      throw new RoomcastError("bad_request", "cursor is not one that this list gave");
    }
    const names = [...this.#presence.occupied()].filter(
      (room) => room > after && (type === undefined || roomType(room) === type),
    );
    names.sort();
    const shown = names.slice(0, limit);
    const last = shown.at(-1);
    const next = names.length > limit && last !== undefined ? Buffer.from(last).toString("base64url") : undefined;
    const rooms = (await Promise.all(shown.map((room) => this.look(room)))).filter((state) => state !== undefined);
    return { rooms, cursor: next, missing: [] };
  }

  async look(room: string): Promise<RoomState | undefined> {
    const found = this.#log.find(room);
    if (found === undefined) return undefined;
    const { position, memberCount } = found;
    return { room, members: memberCount, connections: this.#presence.connectionsIn(room), position };
  }
}
