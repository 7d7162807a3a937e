import type { Position } from "../log/room-log.ts";
import type { FeedCounts } from "./feed-counts.ts";
import { Frame } from "./frame.ts";
import type { Line, Reader } from "./reader.ts";

/**
 * Readers that are written to in one turn of the event loop: at up to 20 µs each, more would hold it for too long, with a
 * collection of garbage in between.
 */
const COHORT_READERS = 500;

/** Where a reader goes that cannot take more. */
export interface SlowReaders {
  /** Its connection owes more than its bound; it was written to up to `at`, and is not among the live ones any more. */
  fellBehind(reader: Reader, at: Position): void;
}

/**
 * Some of a room's live readers, who stand at the same place and have the same frames coming. What is touched at each
 * delivery is what it costs where the caches are cold (docs/performance.md): the lines are in a list of their own.
 */
class Cohort {
  /** A reader that was taken out in the middle of a flush leaves a hole until its end. */
  readonly #readers: (Reader | undefined)[];
  /** Of the readers at the same places, as of the last write; undefined where there was none. */
  readonly #lines: (Line | undefined)[];
  readonly #pending: Frame[] = [];
  #at: Position | undefined;
  #flushing = false;
  #holes = 0;

  /** With its first reader: V8 makes a list that began empty 17 places long at the first `push`, and most rooms are small. */
  constructor(first: Reader) {
    this.#readers = [first];
    this.#lines = [first.outlet.line];
  }

  get size(): number {
    return this.#readers.length;
  }

  get isPending(): boolean {
    return this.#pending.length > 0;
  }

  add(reader: Reader): void {
    this.#readers.push(reader);
    this.#lines.push(reader.outlet.line);
  }

  remove(reader: Reader): void {
    const at = this.#readers.indexOf(reader);
    if (at === -1) return;
    this.#readers[at] = undefined;
    this.#lines[at] = undefined;
    this.#holes += 1;
    if (!this.#flushing) this.#close();
  }

  push(frame: Frame, at: Position): void {
    if (this.size === 0) return;
    this.#pending.push(frame);
    this.#at = at;
  }

  /** Writes what waits as one frame to each; a reader that cannot take more is handed to `slow`, and no longer in. */
  flush(counts: Pick<FeedCounts, "written">, slow: SlowReaders): void {
    const at = this.#at;
    if (at === undefined || this.#pending.length === 0) return;
    const frame = Frame.joined(this.#pending);
    const { websocket } = frame;
    const count = this.size;
    counts.written(this.#pending.length, count, websocket.length, at.ts);
    this.#pending.length = 0;
    this.#flushing = true;
    for (let place = 0; place < count; place += 1) {
      const line = this.#lines[place];
      const isByLine = line?.isClear === true;
      if (isByLine && line.write(websocket)) continue;
      const reader = this.#readers[place];
      if (reader === undefined) continue;
      const keepsUp = isByLine ? reader.outlet.keepsUp() : this.#writeBy(reader, frame, place);
      if (keepsUp || this.#readers[place] === undefined) continue;
      this.remove(reader);
      slow.fellBehind(reader, at);
    }
    this.#flushing = false;
    this.#close();
  }

  /** By the ordinary way, which may end the connection and so take the reader out. */
  #writeBy(reader: Reader, frame: Frame, place: number): boolean {
    const takesMore = reader.outlet.write(frame);
    if (this.#readers[place] === reader) this.#lines[place] = reader.outlet.line;
    return takesMore;
  }

  /** Closes the holes. */
  #close(): void {
    if (this.#holes === 0) return;
    let to = 0;
    for (const [from, reader] of this.#readers.entries()) {
      if (reader === undefined) continue;
      this.#readers[to] = reader;
      this.#lines[to] = this.#lines[from];
      to += 1;
    }
    this.#readers.length = to;
    this.#lines.length = to;
    this.#holes = 0;
  }
}

/**
 * The readers of a feed that get what it passes on. What one chunk from Redis brings is joined and leaves in one write for
 * each reader, in the turn in which it came: what costs is the number of writes, not of messages (docs/decisions/0007).
 * In large rooms one cohort of readers after the other has its turn, so that the event loop is not held.
 */
export class LiveReaders implements SlowReaders {
  #cohorts: readonly Cohort[] = [];
  #size = 0;
  readonly #counts: Pick<FeedCounts, "written">;
  readonly #slow: SlowReaders;
  #flushing = false;

  constructor(counts: Pick<FeedCounts, "written">, slow: SlowReaders) {
    this.#counts = counts;
    this.#slow = slow;
  }

  get size(): number {
    return this.#size;
  }

  /** From now on; the reader has everything that was passed on so far. */
  add(reader: Reader): void {
    const cohort = this.#cohorts.find(({ size }) => size < COHORT_READERS);
    if (cohort === undefined) {
      reader.cohort = this.#cohorts.length;
      this.#cohorts = [...this.#cohorts, new Cohort(reader)];
    } else {
      // What waits there came before this reader.
      this.#flushOne(cohort);
      cohort.add(reader);
      reader.cohort = this.#cohorts.indexOf(cohort);
    }
    this.#size += 1;
  }

  /** Nothing more is written to it, also of what waits. */
  remove(reader: Reader): void {
    if (reader.cohort === undefined) return;
    this.#cohorts[reader.cohort]?.remove(reader);
    this.#out(reader);
  }

  pass(frame: Frame, at: Position): void {
    for (const cohort of this.#cohorts) cohort.push(frame, at);
    if (this.#flushing) return;
    this.#flushing = true;
    // Behind everything that the same chunk from Redis brings.
    queueMicrotask(() => this.#flushNext(0));
  }

  /** Writes everything that waits, before something that must come behind it. */
  flush(): void {
    for (const cohort of this.#cohorts) this.#flushOne(cohort);
  }

  fellBehind(reader: Reader, at: Position): void {
    this.#out(reader);
    this.#slow.fellBehind(reader, at);
  }

  #out(reader: Reader): void {
    reader.cohort = undefined;
    this.#size -= 1;
  }

  /** One cohort a turn, each in its turn, until nothing waits anywhere. */
  #flushNext(index: number): void {
    const cohort = this.#cohorts[index];
    if (cohort !== undefined) this.#flushOne(cohort);
    const next = this.#pendingAfter(index);
    if (next === undefined) this.#flushing = false;
    else setImmediate(() => this.#flushNext(next));
  }

  #pendingAfter(index: number): number | undefined {
    for (let step = 1; step <= this.#cohorts.length; step += 1) {
      const next = (index + step) % this.#cohorts.length;
      if (this.#cohorts[next]?.isPending) return next;
    }
    return undefined;
  }

  #flushOne(cohort: Cohort): void {
    cohort.flush(this.#counts, this);
  }
}
