import { RoomcastError } from "../errors.ts";
import { storeFailure } from "../redis/failure.ts";
import type { Keys } from "../redis/keys.ts";
import { readLines, wordsOf } from "../redis/reply.ts";
import { readScript, type ScriptRunner } from "../redis/script.ts";
import { entryEnvelope } from "./envelope.ts";
import type { Epochs } from "./epochs.ts";
import type { EventOutbox } from "./event-outbox.ts";
import { MOST_APPENDED_BYTES, MOST_APPENDS, SPARE_LIFE_MS } from "./limits.ts";
import { type Appended, type Draft, NOWHERE } from "./room-log.ts";

export const APPEND = readScript(new URL("./scripts/append.lua", import.meta.url));

export interface RedisAppendsOptions {
  /** Has `APPEND` among its scripts. */
  readonly scripts: ScriptRunner;
  readonly keys: Keys;
  readonly epochs: Epochs;
  /** How long an id is remembered, in milliseconds. */
  readonly dedupeMs: number;
  readonly outbox: EventOutbox;
}

/** A draft that somebody waits for. */
interface Append {
  readonly draft: Draft;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
}

/** What one call of the script stores. */
interface Batch {
  readonly room: string;
  readonly appends: Append[];
  bytes: number;
}

/**
 * Appends in Redis. Messages of one turn of the event loop to one room are stored by one call of the script, since
 * calling it is most of what a message costs. They leave when they would have left anyway: at the end of the turn.
 */
export class RedisAppends {
  readonly #scripts: ScriptRunner;
  readonly #keys: Keys;
  readonly #epochs: Epochs;
  readonly #dedupeMs: number;
  readonly #outbox: EventOutbox;
  /** In the order in which they are sent. */
  #batches: Batch[] = [];
  /**
   * The last batch of each room. Each turn has a new map: `clear()` leaves the old table with a pointer to its successor, and once one
   * of that chain is in V8's old generation, all that was in any later one is kept until the whole heap is collected.
   */
  #open = new Map<string, Batch>();

  constructor({ scripts, keys, epochs, dedupeMs, outbox }: RedisAppendsOptions) {
    this.#scripts = scripts;
    this.#keys = keys;
    this.#epochs = epochs;
    this.#dedupeMs = dedupeMs;
    this.#outbox = outbox;
  }

  /** As `append` of `RoomLog`. */
  append(room: string, draft: Draft): Promise<Appended> {
    return new Promise((resolve, reject) => {
      const append = { draft, resolve, reject };
      if (draft.removes === undefined) this.#gather(room, append);
      else void this.#send({ room, appends: [append], bytes: 0 });
    });
  }

  #gather(room: string, append: Append): void {
    if (this.#batches.length === 0) this.#scripts.putOff(() => this.#sendGathered());
    const bytes = Buffer.byteLength(append.draft.rest);
    const open = this.#open.get(room);
    if (open !== undefined && open.appends.length < MOST_APPENDS && open.bytes + bytes <= MOST_APPENDED_BYTES) {
      open.appends.push(append);
      open.bytes += bytes;
      return;
    }
    const batch = { room, appends: [append], bytes };
    this.#batches.push(batch);
    this.#open.set(room, batch);
  }

  #sendGathered(): void {
    const batches = this.#batches;
    this.#batches = [];
    this.#open = new Map();
    for (const batch of batches) void this.#send(batch);
  }

  /** Settles each of the batch; never rejects. */
  async #send({ room, appends }: Batch): Promise<void> {
    try {
      const lines = await this.#run(
        room,
        appends.map(({ draft }) => draft),
      );
      for (const [index, append] of appends.entries()) settle(append, lines[index] ?? "");
    } catch (error) {
      for (const { reject } of appends) reject(error);
    }
  }

  /** A line of the answer for each draft. */
  async #run(room: string, drafts: readonly Draft[]): Promise<readonly string[]> {
    const last = drafts.at(-1);
    if (last === undefined) return [];
    const { retention, removes } = last;
    const known = drafts.findLast((draft) => draft.known !== undefined)?.known ?? NOWHERE;
    // A removal is no message that webhooks are told of.
    const outbox = removes === undefined ? this.#outbox.open(room, "messages") : [];
    const keys = [
      this.#keys.meta(room),
      this.#keys.log(room),
      ...drafts.map(({ space, sender, id }) => this.#keys.dedupe(room, space, sender, id)),
      this.#keys.removed(room),
      ...outbox,
    ];
    const values = [
      this.#keys.channel(room),
      entryEnvelope(room),
      drafts.length,
      this.#epochs.next(),
      known.epoch,
      known.seq,
      known.ts,
      retention.maxMessages,
      retention.maxBytes,
      retention.maxAgeMs,
      this.#dedupeMs,
      SPARE_LIFE_MS,
      ...drafts.map(({ rest }) => rest),
      ...(removes === undefined ? [] : [removes.seq, removes.ts, removes.tombstone]),
    ];
    try {
      return readLines(await this.#scripts.run(APPEND, keys, values));
    } finally {
      this.#outbox.written(room, outbox);
    }
  }
}

function settle({ resolve, reject }: Append, line: string): void {
  try {
    resolve(readAppended(line));
  } catch (error) {
    reject(error);
  }
}

function readAppended(line: string): Appended {
  if (line === "gone") throw new RoomcastError("not_found");
  if (line.startsWith("! ")) throw storeFailure(new Error(line.slice(2)));
  const { epoch, seq, ts, duplicate } = wordsOf(line, ["epoch", "seq", "ts", "duplicate"]);
  return { epoch, seq: Number(seq), ts: Number(ts), duplicate: duplicate === "1" };
}
