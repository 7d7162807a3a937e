import { RoomcastError } from "../errors.ts";
import type { Entry, Position, Removal, Retention } from "./room-log.ts";

interface Stored extends Position {
  readonly until: number;
}

/** One room of a node without Redis: what the keys of a room hold, and the rules of its scripts. */
export class MemoryRoom {
  epoch: string;
  seq = 0;
  ts = 0;
  version = 0;
  memberCount = 0;
  /** When nothing of the room needs to be known any more, in Unix milliseconds. */
  until = 0;
  readonly #entries: Entry[] = [];
  /** In the order of storing, which is that of running out. */
  readonly #stored = new Map<string, Stored>();
  #bytes = 0;

  constructor(epoch: string) {
    this.epoch = epoch;
  }

  get position(): Position {
    return { epoch: this.epoch, seq: this.seq, ts: this.ts };
  }

  /** What is kept: entries, and the bytes of their bodies. */
  get size(): { messages: number; bytes: number } {
    return { messages: this.#entries.length, bytes: this.#bytes };
  }

  /** The number of the first entry that is kept. */
  get oldest(): string {
    return String(this.#firstSeq());
  }

  /** Whether the log is not what a node was already given. */
  isFork(known: Position): boolean {
    if (known.epoch !== this.epoch || known.seq === 0) return false;
    if (known.seq >= this.seq) return known.seq > this.seq || known.ts !== this.ts;
    const entry = this.#entryAt(known.seq);
    return entry !== undefined && entry.ts !== known.ts;
  }

  /** Where a message with this id is: stored in this epoch, or in an earlier one and still there; then it is of this one from now on. */
  find(id: string, now: number): Position | undefined {
    const stored = this.#stored.get(id);
    if (stored === undefined || stored.until <= now) return undefined;
    const { epoch } = this;
    const { seq, ts } = stored;
    if (stored.epoch !== epoch) {
      if (this.#entryAt(seq)?.ts !== ts) return undefined;
      this.#stored.set(id, { ...stored, epoch });
    }
    return { epoch, seq, ts };
  }

  add(rest: string, id: string, now: number, dedupeMs: number, retention: Retention): Entry {
    const seq = this.seq + 1;
    const ts = Math.max(now, this.ts);
    const body = Buffer.from(`{"seq":${seq},"ts":${ts},${rest}`);
    const entry: Entry = { epoch: this.epoch, seq, ts, prev: this.ts, body };
    this.#entries.push(entry);
    this.#bytes += body.length;
    this.seq = seq;
    this.ts = ts;
    this.#stored.delete(id);
    this.#stored.set(id, { epoch: this.epoch, seq, ts, until: now + dedupeMs });
    this.trim(now, retention);
    return entry;
  }

  /** Throws `not_found` where no such entry stands there. */
  bury({ seq, ts, tombstone }: Removal): void {
    const index = seq - this.#firstSeq();
    const entry = this.#entries[index];
    if (entry === undefined || entry.ts !== ts) throw new RoomcastError("not_found");
    const body = Buffer.from(tombstone);
    this.#entries[index] = { ...entry, body };
    this.#bytes += body.length - entry.body.length;
  }

  purge(epoch: string): void {
    this.epoch = epoch;
    this.#entries.length = 0;
    this.#bytes = 0;
  }

  trim(now: number, { maxMessages, maxBytes, maxAgeMs }: Retention): void {
    for (const [id, { until }] of this.#stored) {
      if (until > now) break;
      this.#stored.delete(id);
    }
    let gone = 0;
    for (const { seq, ts, body } of this.#entries) {
      const kept = this.#entries.length - gone <= maxMessages && this.#bytes <= maxBytes && ts >= now - maxAgeMs;
      if (kept || seq === this.seq) break;
      this.#bytes -= body.length;
      gone += 1;
    }
    if (gone > 0) this.#entries.splice(0, gone);
  }

  /** Entries that are not too old, oldest first, with `after < seq < before`. */
  between(after: number, before: number, minTs: number): readonly Entry[] {
    return this.#entries.filter(({ seq, ts }) => seq > after && seq < before && ts >= minTs);
  }

  #entryAt(seq: number): Entry | undefined {
    return this.#entries[seq - this.#firstSeq()];
  }

  #firstSeq(): number {
    return this.#entries[0]?.seq ?? this.seq + 1;
  }
}
