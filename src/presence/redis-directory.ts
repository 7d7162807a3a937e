import { createHash } from "node:crypto";
import type { Redis } from "ioredis";
import { RoomcastError } from "../errors.ts";
import { storeFailure } from "../redis/failure.ts";
import type { Keys } from "../redis/keys.ts";
import { readText, readWords } from "../redis/reply.ts";
import { readScript, ScriptRunner } from "../redis/script.ts";
import type { RoomDirectory, RoomPage, RoomState } from "./room-directory.ts";

const LOOK = readScript(new URL("./scripts/look.lua", import.meta.url));

/** So many keys share all occupied rooms. The same for all nodes of a cluster, for ever. */
export const ROOM_SHARDS = 64;
/** Shards that are read at a time while a page is filled. */
const SHARDS_PER_READ = 16;

export interface RedisDirectoryOptions {
  readonly commands: Redis;
  readonly reads: Redis;
  readonly keys: Keys;
}

interface Place {
  readonly shard: number;
  /** The last room of the page before; "" at the beginning of a shard. */
  readonly after: string;
}

/** The shard of a room's name. */
export function shardOf(room: string): number {
  return createHash("sha1").update(room).digest().readUInt16BE(0) % ROOM_SHARDS;
}

/** Occupied rooms in Redis: sorted sets by name, none of which holds all rooms. */
export class RedisDirectory implements RoomDirectory {
  readonly #commands: Redis;
  readonly #reads: Redis;
  readonly #scripts: ScriptRunner;
  readonly #keys: Keys;

  constructor({ commands, reads, keys }: RedisDirectoryOptions) {
    this.#commands = commands;
    this.#reads = reads;
    this.#scripts = new ScriptRunner(reads, [LOOK]);
    this.#keys = keys;
  }

  async add(rooms: readonly string[]): Promise<void> {
    const shards = Map.groupBy(rooms, shardOf);
    const adds = [...shards].map(([shard, names]) =>
      this.#commands.zadd(this.#keys.roomShard(shard), ...names.flatMap((name) => [0, name])),
    );
    await Promise.all(adds).catch(rethrow);
  }

  async review(rooms: readonly string[]): Promise<void> {
    await Promise.all(rooms.map((room) => this.#review(room))).catch(rethrow);
  }

  async list(type: string | undefined, cursor: string | undefined, limit: number): Promise<RoomPage> {
    const found: RoomState[] = [];
    const missing: string[] = [];
    let place: Place | undefined = readCursor(cursor);
    while (place !== undefined && found.length < limit) {
      const names = await this.#names(type, place, limit - found.length, missing);
      const states = await Promise.allSettled(names.rooms.map((room) => this.look(room)));
      const empty: string[] = [];
      for (const [index, state] of states.entries()) {
        const room = names.rooms[index] ?? "";
        if (state.status === "rejected") missing.push(`room ${room}`);
        else if (state.value === undefined || state.value.members === 0) empty.push(room);
        else found.push(state.value);
      }
      // Left behind by a node that died between leaving the room and taking it out of here.
      await this.review(empty).catch(() => undefined);
      place = names.next;
    }
    if (found.length === 0 && missing.length >= ROOM_SHARDS) throw new RoomcastError("unavailable");
    return { rooms: found, cursor: place === undefined ? undefined : writeCursor(place), missing };
  }

  async look(room: string): Promise<RoomState | undefined> {
    const keys = [this.#keys.meta(room), this.#keys.presence(room), this.#keys.members(room)];
    const reply = await this.#scripts.read(LOOK, keys, []);
    if (readText(reply) === "") return undefined;
    const { epoch, seq, ts, members, connections } = readWords(reply, ["epoch", "seq", "ts", "members", "connections"]);
    const position = { epoch, seq: Number(seq), ts: Number(ts) };
    return { room, members: Number(members), connections: Number(connections), position };
  }

  /** The next names from a place on, at most so many, and where it goes on. Shards that cannot be read are missing. */
  async #names(
    type: string | undefined,
    from: Place,
    most: number,
    missing: string[],
  ): Promise<{ rooms: string[]; next: Place | undefined }> {
    const end = Math.min(from.shard + SHARDS_PER_READ, ROOM_SHARDS);
    const shards = Array.from({ length: end - from.shard }, (_, index) => from.shard + index);
    const replies = await Promise.allSettled(
      shards.map((shard) => this.#range(shard, type, shard === from.shard ? from.after : "", most + 1)),
    );
    const rooms: string[] = [];
    for (const [index, reply] of replies.entries()) {
      const shard = from.shard + index;
      if (reply.status === "rejected") {
        missing.push(`shard ${shard} of the rooms' index`);
        continue;
      }
      const space = most - rooms.length;
      rooms.push(...reply.value.slice(0, space));
      const after = reply.value[space - 1];
      if (reply.value.length > space)
        return { rooms, next: { shard, after: after ?? (index === 0 ? from.after : "") } };
    }
    return { rooms, next: end === ROOM_SHARDS ? undefined : { shard: end, after: "" } };
  }

  /** Names of one shard in the order of their bytes; with a type, only those that begin with it and a colon, or are it. */
  async #range(shard: number, type: string | undefined, after: string, most: number): Promise<string[]> {
    const key = this.#keys.roomShard(shard);
    if (type === undefined) {
      return await this.#reads.zrange(key, after === "" ? "-" : `(${after}`, "+", "BYLEX", "LIMIT", 0, most);
    }
    const rooms = await this.#reads.zrange(
      key,
      after > `${type}:` ? `(${after}` : `[${type}:`,
      // The character after the colon.
      `(${type};`,
      "BYLEX",
      "LIMIT",
      0,
      most,
    );
    if (after !== "") return rooms;
    const score = await this.#reads.zscore(key, type);
    return score === null ? rooms : [type, ...rooms].slice(0, most);
  }

  async #review(room: string): Promise<void> {
    const members = this.#keys.members(room);
    if ((await this.#commands.zcard(members)) > 0) return;
    await this.#commands.zrem(this.#shard(room), room);
    // Somebody came in between, and may have added the room before it was taken out.
    if ((await this.#commands.zcard(members)) > 0) await this.add([room]);
  }

  #shard(room: string): string {
    return this.#keys.roomShard(shardOf(room));
  }
}

function writeCursor({ shard, after }: Place): string {
  return Buffer.from(`${shard} ${after}`).toString("base64url");
}

function readCursor(cursor: string | undefined): Place {
  if (cursor === undefined) return { shard: 0, after: "" };
  const [, shard = "", after = ""] = /^(\d{1,3}) (.*)$/s.exec(Buffer.from(cursor, "base64url").toString()) ?? [];
  const place = { shard: Number(shard), after };
  if (shard === "" || place.shard >= ROOM_SHARDS || writeCursor(place) !== cursor) {
    throw new RoomcastError("bad_request", "cursor is not one that this list gave");
  }
  return place;
}

function rethrow(error: unknown): never {
  throw storeFailure(error);
}
