import { Epochs } from "./epochs.ts";
import { MOST_CHECKS } from "./limits.ts";
import type { MemoryChannels } from "./memory-channels.ts";
import { MemoryRoom } from "./memory-room.ts";
import {
  type Appended,
  type Draft,
  type Entry,
  type Head,
  NOWHERE,
  type Page,
  type PageSize,
  type Retention,
  type RoomLog,
  type RoomPosition,
  type SeenRoom,
} from "./room-log.ts";

const HOUR_MS = 3_600_000;
/** How often rooms that ran out are looked for. */
const SWEEP_MS = 60_000;

export interface MemoryLogOptions {
  readonly channels: MemoryChannels;
  /** How long an id is remembered, in milliseconds. */
  readonly dedupeMs: number;
  /** Unix milliseconds. */
  readonly now?: () => number;
}

/** The log of a node without Redis: the same rules, and gone with the process. */
export class MemoryLog implements RoomLog {
  readonly #channels: MemoryChannels;
  readonly #dedupeMs: number;
  readonly #now: () => number;
  readonly #epochs = new Epochs();
  readonly #rooms = new Map<string, MemoryRoom>();
  #sweptAt = 0;

  constructor({ channels, dedupeMs, now = Date.now }: MemoryLogOptions) {
    this.#channels = channels;
    this.#dedupeMs = dedupeMs;
    this.#now = now;
  }

  async append(name: string, draft: Draft): Promise<Appended> {
    const room = this.open(name, draft.retention);
    const now = this.#now();
    if (draft.known !== undefined && room.isFork(draft.known)) room.epoch = this.#epochs.next();
    const id = `${draft.space}${draft.sender.length}:${draft.sender}:${draft.id}`;
    const stored = room.find(id, now);
    if (stored !== undefined) return { ...stored, duplicate: true };
    if (draft.removes !== undefined) room.bury(draft.removes);
    const entry = room.add(draft.rest, id, now, this.#dedupeMs, draft.retention);
    this.#channels.publishEntry(name, entry);
    return { epoch: entry.epoch, seq: entry.seq, ts: entry.ts, duplicate: false };
  }

  async purge(name: string): Promise<void> {
    this.#rooms.get(name)?.purge(this.#epochs.next());
  }

  async readAfter(name: string, seq: number, size: PageSize, retention: Retention): Promise<Page> {
    const room = this.#rooms.get(name);
    if (room === undefined) return { entries: [], head: NOWHERE, more: false };
    const entries = room.between(seq, room.seq + 1, this.#now() - retention.maxAgeMs);
    const taken = entries.slice(0, howMany(entries, size));
    return { entries: withEpoch(taken, room.epoch), head: room.position, more: taken.length < entries.length };
  }

  async readBefore(name: string, seq: number | undefined, size: PageSize, retention: Retention): Promise<Page> {
    const room = this.#rooms.get(name);
    if (room === undefined) return { entries: [], head: NOWHERE, more: false };
    const newestFirst = room.between(0, seq ?? room.seq + 1, this.#now() - retention.maxAgeMs).toReversed();
    const taken = newestFirst.slice(0, howMany(newestFirst, size));
    const more = taken.length < newestFirst.length;
    return { entries: withEpoch(taken.toReversed(), room.epoch), head: room.position, more };
  }

  async check(positions: readonly RoomPosition[]): Promise<readonly Head[]> {
    if (positions.length > MOST_CHECKS) throw new RangeError(`at most ${MOST_CHECKS} positions at a time`);
    return positions.map(({ room: name, position, retention, version: known = 0 }) => {
      const room = this.open(name, retention);
      if (room.isFork(position)) room.epoch = this.#epochs.next();
      if (known > room.version) room.version = known + 1;
      room.trim(this.#now(), retention);
      const { version, memberCount, size, oldest } = room;
      return { ...room.position, version, memberCount, ...size, oldest };
    });
  }

  async findChanged(rooms: readonly SeenRoom[]): Promise<ReadonlySet<string>> {
    if (rooms.length > MOST_CHECKS) throw new RangeError(`at most ${MOST_CHECKS} rooms at a time`);
    const changed = rooms.filter(({ room: name, position: { epoch, seq, ts }, version, oldest, retention }) => {
      const room = this.open(name, retention);
      room.trim(this.#now(), retention);
      const isEnd = room.epoch === epoch && room.seq === seq && room.ts === ts;
      return !isEnd || room.version !== version || room.oldest !== oldest;
    });
    return new Set(changed.map(({ room }) => room));
  }

  /** The room, made with a new epoch where there is none, and kept for a while longer than anything in it. */
  open(name: string, retention: Retention): MemoryRoom {
    this.#sweep();
    let room = this.#rooms.get(name);
    if (room === undefined) {
      room = new MemoryRoom(this.#epochs.next());
      this.#rooms.set(name, room);
    }
    room.until = this.#now() + retention.maxAgeMs + this.#dedupeMs + HOUR_MS;
    return room;
  }

  /** The room, if anybody ever used it. */
  find(name: string): MemoryRoom | undefined {
    return this.#rooms.get(name);
  }

  #sweep(): void {
    const now = this.#now();
    if (now - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = now;
    for (const [name, room] of this.#rooms) {
      if (room.until < now && room.memberCount === 0) this.#rooms.delete(name);
    }
  }
}

/** How many of the first entries fit: at least one. */
function howMany(entries: readonly Entry[], { maxMessages, maxBytes }: PageSize): number {
  let bytes = 0;
  for (const [index, { body }] of entries.entries()) {
    bytes += body.length;
    if (index === maxMessages || (index > 0 && bytes > maxBytes)) return index;
  }
  return entries.length;
}

/** Entries belong to the line of numbers that is read now, whichever they were stored under. */
function withEpoch(entries: readonly Entry[], epoch: string): readonly Entry[] {
  return entries.map((entry) => (entry.epoch === epoch ? entry : { ...entry, epoch }));
}
