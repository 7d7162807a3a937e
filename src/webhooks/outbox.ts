import { createHash, randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import type { EventOutbox, RoomNews } from "../log/event-outbox.ts";
import type { Keys } from "../redis/keys.ts";
import { readList, readText } from "../redis/reply.ts";
import { readScript, ScriptRunner } from "../redis/script.ts";
import type { OutboxEntry } from "./events.ts";

const ANNOUNCE = readScript(new URL("./scripts/announce.lua", import.meta.url));
const CLAIM_DUE = readScript(new URL("./scripts/claim_due.lua", import.meta.url));
const RETIRE = readScript(new URL("./scripts/retire.lua", import.meta.url));
const TAKE_EVENTS = readScript(new URL("./scripts/take_events.lua", import.meta.url));
const RELEASE_EVENTS = readScript(new URL("./scripts/release_events.lua", import.meta.url));

/** Keys over which the announcements are spread: no single one holds all rooms. */
const SHARDS = 16;
/** For how long a node relies on its own announcement of a room, in milliseconds. */
const ANNOUNCED_MS = 5_000;
/**
 * When others look at the outbox of a room that nobody announces any more, in milliseconds. The difference to
 * `ANNOUNCED_MS` is longer than any script can be under way: nobody forgets a room for which one still is.
 */
const DUE_MS = 20_000;
/** How long a node may hold an outbox, in milliseconds; past it (it died) the next one takes the same events. */
const HOLD_MS = 10_000;
/** How much of one room is moved at a time: whichever is reached first, and at most three events more. */
const MOST_EVENTS = 100;
const ENOUGH_BYTES = 256 * 1024;
/** Most rooms of one shard that are looked at a time. */
const MOST_DUE = 100;

/** What an outbox holds: `busy` where another node moves it. */
export type Taken =
  | { readonly kind: "busy" }
  | {
      readonly kind: "taken";
      readonly entries: readonly OutboxEntry[];
      /** Events that found it full, since the last time. */
      readonly dropped: number;
      readonly more: boolean;
    };

/** A room that nobody announced for a while. */
export interface DueRoom {
  readonly room: string;
  readonly claim: string;
}

export interface RedisOutboxOptions {
  /** The connection that the rooms' scripts use too. */
  readonly commands: Redis;
  readonly keys: Keys;
  /** Whether an endpoint wants such news of the room. */
  wants(room: string, news: RoomNews): boolean;
  /** This node left events in the room's outbox, or may have. */
  touched(room: string): void;
}

/** The outboxes of all rooms, in Redis. */
export class RedisOutbox implements EventOutbox {
  readonly #scripts: ScriptRunner;
  readonly #keys: Keys;
  readonly #wants: RedisOutboxOptions["wants"];
  readonly #touched: RedisOutboxOptions["touched"];
  /** Unlike that of any other process. */
  readonly #holder = randomUUID();
  /** When this node announced a room, by the monotonic clock; in that order. */
  readonly #announced = new Map<string, number>();

  constructor({ commands, keys, wants, touched }: RedisOutboxOptions) {
    this.#scripts = new ScriptRunner(commands, [ANNOUNCE, CLAIM_DUE, RETIRE, TAKE_EVENTS, RELEASE_EVENTS]);
    this.#keys = keys;
    this.#wants = wants;
    this.#touched = touched;
  }

  open(room: string, news: RoomNews): readonly string[] {
    if (!this.#wants(room, news)) return [];
    return this.openAlways(room);
  }

  /** As `open`, whoever wants it. */
  openAlways(room: string): readonly string[] {
    this.#announce(room);
    return [this.#keys.outbox(room), this.#keys.outboxDropped(room)];
  }

  written(room: string, keys: readonly string[]): void {
    if (keys.length > 0) this.#touched(room);
  }

  /** The oldest events of a room. Nobody else is given them until `release`, or until this node was silent for long. */
  async take(room: string): Promise<Taken> {
    const keys = [this.#keys.outbox(room), this.#keys.outboxDropped(room), this.#keys.outboxHolder(room)];
    const reply = await this.#scripts.run(TAKE_EVENTS, keys, [this.#holder, HOLD_MS, MOST_EVENTS, ENOUGH_BYTES]);
    const [isTaken, dropped, more, list] = readList(reply);
    if (isTaken !== 1) return { kind: "busy" };
    return { kind: "taken", entries: readList(list).map(readEntry), dropped: Number(dropped), more: more === 1 };
  }

  /** These events are where they cannot be lost: they leave the outbox. */
  async release(room: string, entries: readonly OutboxEntry[]): Promise<void> {
    const keys = [this.#keys.outbox(room), this.#keys.outboxHolder(room)];
    const last = entries.at(-1);
    await this.#scripts.run(RELEASE_EVENTS, keys, [this.#holder, last === undefined ? "" : idAfter(last.id)]);
  }

  /** Rooms at whose outboxes this node is to look: whoever announced them may be dead. `refused`: a share of them is not known. */
  async claimDue(refused: (error: unknown) => void): Promise<readonly DueRoom[]> {
    const shards = Array.from({ length: SHARDS }, (_, shard) => this.#keys.outboxes(shard));
    const claims = shards.map((key) => this.#scripts.run(CLAIM_DUE, [key], [DUE_MS, MOST_DUE]));
    const settled = await Promise.allSettled(claims);
    const failure = settled.find(({ status }) => status === "rejected");
    if (failure?.status === "rejected") refused(failure.reason);
    return settled.flatMap((end) => {
      if (end.status === "rejected") return [];
      const [claim, ...rooms] = readList(end.value).map(readText);
      return rooms.map((room) => ({ room, claim: claim ?? "" }));
    });
  }

  /** The outbox of a room that was due is empty: nobody has to look again, unless it is announced anew. */
  async retire({ room, claim }: DueRoom): Promise<void> {
    await this.#scripts.run(RETIRE, [this.#shardOf(room)], [room, claim]);
  }

  #announce(room: string): void {
    const now = performance.now();
    const last = this.#announced.get(room);
    if (last !== undefined && now - last < ANNOUNCED_MS) return;
    this.#announced.delete(room);
    this.#announced.set(room, now);
    for (const [other, at] of this.#announced) {
      if (now - at < ANNOUNCED_MS) break;
      this.#announced.delete(other);
    }
    // The next one tries again. Where Redis is full it fails and a leave does not, so that the event waits for the room's next one.
    this.#scripts.run(ANNOUNCE, [this.#shardOf(room)], [room]).catch(() => this.#announced.delete(room));
  }

  #shardOf(room: string): string {
    return this.#keys.outboxes((createHash("sha1").update(room).digest()[0] ?? 0) % SHARDS);
  }
}

function readEntry(reply: unknown): OutboxEntry {
  const [id, list] = readList(reply);
  const words = readList(list).map(readText);
  const fields = new Map<string, string>();
  for (let index = 0; index < words.length; index += 2) fields.set(words[index] ?? "", words[index + 1] ?? "");
  return { id: readText(id), fields };
}

function idAfter(id: string): string {
  const [ms, n] = id.split("-");
  return `${ms}-${Number(n) + 1}`;
}
