import type { Redis } from "ioredis";
import { RoomcastError } from "../errors.ts";
import { storeFailure } from "../redis/failure.ts";
import type { Keys } from "../redis/keys.ts";
import { readList, readText, readWords } from "../redis/reply.ts";
import { readScript, ScriptRunner } from "../redis/script.ts";
import { Epochs } from "./epochs.ts";
import { type EventOutbox, NO_OUTBOX } from "./event-outbox.ts";
import { MOST_CHECKS, MOST_LOOKS, RENEW_LIVES_EVERY_MS, SPARE_LIFE_MS } from "./limits.ts";
import { APPEND, RedisAppends } from "./redis-appends.ts";
import {
  type Appended,
  type Draft,
  type Entry,
  type Head,
  NOWHERE,
  type Page,
  type PageSize,
  type Position,
  type Retention,
  type RoomLog,
  type RoomPosition,
  type SeenRoom,
} from "./room-log.ts";

const PURGE = readScript(new URL("./scripts/purge.lua", import.meta.url));
const READ_AFTER = readScript(new URL("./scripts/read_after.lua", import.meta.url));
const READ_BEFORE = readScript(new URL("./scripts/read_before.lua", import.meta.url));
const CHECK_ROOM = readScript(new URL("./scripts/check_room.lua", import.meta.url));
const FIND_CHANGED = readScript(new URL("./scripts/find_changed.lua", import.meta.url));

/** Asks `read_before.lua` for the last entries. */
const THE_END = 0;

export interface RedisLogOptions {
  /** Writes and comparisons, in the order of the calls. */
  readonly commands: Redis;
  /** Pages: a connection of their own, so that no send waits for one. */
  readonly reads: Redis;
  readonly keys: Keys;
  /** How long an id is remembered, in milliseconds; at least 1. */
  readonly dedupeMs: number;
  /** Where messages are left for webhooks. */
  readonly outbox?: EventOutbox;
  /** Told the first time that Redis refuses to look at several rooms at once, which makes comparisons dear and nothing else. */
  lookRefused?(error: unknown): void;
}

/** The log in Redis: a stream and a hash a room, each step one script. Entries read carry the epoch of the log's end. */
export class RedisLog implements RoomLog {
  readonly #commands: ScriptRunner;
  readonly #reads: ScriptRunner;
  readonly #keys: Keys;
  readonly #dedupeMs: number;
  readonly #appends: RedisAppends;
  readonly #epochs = new Epochs();
  readonly #lookRefused: RedisLogOptions["lookRefused"];
  #toldOfRefusal = false;

  constructor({ commands, reads, keys, dedupeMs, outbox = NO_OUTBOX, lookRefused }: RedisLogOptions) {
    this.#commands = new ScriptRunner(commands, [APPEND, PURGE, CHECK_ROOM, FIND_CHANGED]);
    this.#reads = new ScriptRunner(reads, [READ_AFTER, READ_BEFORE]);
    this.#keys = keys;
    this.#dedupeMs = dedupeMs;
    this.#appends = new RedisAppends({ scripts: this.#commands, keys, epochs: this.#epochs, dedupeMs, outbox });
    this.#lookRefused = lookRefused;
  }

  append(room: string, draft: Draft): Promise<Appended> {
    return this.#appends.append(room, draft);
  }

  async purge(room: string): Promise<void> {
    const keys = [this.#keys.meta(room), this.#keys.log(room), this.#keys.removed(room)];
    await this.#commands.run(PURGE, keys, [this.#epochs.next()]);
  }

  async readAfter(room: string, seq: number, size: PageSize, retention: Retention): Promise<Page> {
    const values = [seq, size.maxMessages, size.maxBytes, retention.maxAgeMs];
    return readPage(await this.#reads.read(READ_AFTER, this.#readKeys(room), values));
  }

  async readBefore(room: string, seq: number | undefined, size: PageSize, retention: Retention): Promise<Page> {
    const values = [seq ?? THE_END, size.maxMessages, size.maxBytes, retention.maxAgeMs];
    const newestFirst = readPage(await this.#reads.read(READ_BEFORE, this.#readKeys(room), values));
    return { ...newestFirst, entries: newestFirst.entries.toReversed() };
  }

  #readKeys(room: string): string[] {
    return [this.#keys.meta(room), this.#keys.log(room), this.#keys.removed(room)];
  }

  async check(positions: readonly RoomPosition[]): Promise<readonly Head[]> {
    if (positions.length > MOST_CHECKS) throw new RangeError(`at most ${MOST_CHECKS} positions at a time`);
    const replies = await Promise.allSettled(positions.map((position) => this.#check(position)));
    return replies.map((reply) => {
      if (reply.status === "rejected") throw storeFailure(reply.reason);
      return reply.value;
    });
  }

  async findChanged(rooms: readonly SeenRoom[]): Promise<ReadonlySet<string>> {
    if (rooms.length > MOST_CHECKS) throw new RangeError(`at most ${MOST_CHECKS} rooms at a time`);
    const byAge = Map.groupBy(rooms, ({ retention }) => retention.maxAgeMs);
    const looks = [...byAge].flatMap(([maxAgeMs, alike]) =>
      Array.from({ length: Math.ceil(alike.length / MOST_LOOKS) }, (_, index) =>
        this.#findChanged(alike.slice(index * MOST_LOOKS, (index + 1) * MOST_LOOKS), maxAgeMs),
      ),
    );
    return new Set((await Promise.all(looks)).flat());
  }

  async #findChanged(rooms: readonly SeenRoom[], maxAgeMs: number): Promise<readonly string[]> {
    const keys = rooms.map(({ room }) => this.#keys.meta(room));
    const marks = rooms.map(({ position: { epoch, seq, ts }, version, oldest }) =>
      [epoch, seq, ts, version, oldest].join("/"),
    );
    try {
      const places = readText(await this.#commands.run(FIND_CHANGED, keys, [maxAgeMs, RENEW_LIVES_EVERY_MS, ...marks]));
      return places.split(" ").flatMap((place) => rooms[Number(place) - 1]?.room ?? []);
    } catch (error) {
      if (error instanceof RoomcastError) throw error;
      // Behind one address there may be several shards: no script may look at keys of more than one of them.
      if (!this.#toldOfRefusal) this.#lookRefused?.(error);
      this.#toldOfRefusal = true;
      return rooms.map(({ room }) => room);
    }
  }

  async #check({ room, position, retention, version = 0 }: RoomPosition): Promise<Head> {
    const keys = [
      this.#keys.meta(room),
      this.#keys.log(room),
      this.#keys.presence(room),
      this.#keys.members(room),
      this.#keys.removed(room),
    ];
    const reply = await this.#commands.run(CHECK_ROOM, keys, [
      position.epoch,
      position.seq,
      position.ts,
      this.#epochs.next(),
      retention.maxBytes,
      retention.maxAgeMs,
      this.#dedupeMs,
      SPARE_LIFE_MS,
      RENEW_LIVES_EVERY_MS,
      version,
    ]);
    const head = readWords(reply, ["epoch", "seq", "ts", "version", "memberCount", "messages", "bytes", "oldest"]);
    return {
      epoch: head.epoch,
      seq: Number(head.seq),
      ts: Number(head.ts),
      version: Number(head.version),
      memberCount: Number(head.memberCount),
      messages: Number(head.messages),
      bytes: Number(head.bytes),
      oldest: head.oldest,
    };
  }
}

function readPage(reply: unknown): Page {
  const [end, more, rows] = readList(reply);
  const head = readHead(end);
  const list = readList(rows);
  const entries: Entry[] = [];
  for (let index = 0; index < list.length; index += 2) {
    const { seq, ts, prev } = readWords(list[index], ["seq", "ts", "prev"]);
    const body = list[index + 1];
    if (!Buffer.isBuffer(body)) throw new Error("an entry of the log has no body");
    // Copied: the reply is one piece of memory, and who keeps an entry would keep all of it.
    entries.push({ epoch: head.epoch, seq: Number(seq), ts: Number(ts), prev: Number(prev), body: Buffer.from(body) });
  }
  return { entries, head, more: more === 1 };
}

function readHead(reply: unknown): Position {
  if (readText(reply) === "") return NOWHERE;
  const { epoch, seq, ts } = readWords(reply, ["epoch", "seq", "ts"]);
  return { epoch, seq: Number(seq), ts: Number(ts) };
}
