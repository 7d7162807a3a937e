import { removalOf } from "../log/removal.ts";
import type { Entry, Page, Position } from "../log/room-log.ts";
import type { ServerEvents } from "../protocol.ts";
import { continueFrom, positionOf, samePosition } from "./catch-up.ts";
import type { FeedCounts, ResyncReason } from "./feed-counts.ts";
import { Frame } from "./frame.ts";
import { LiveReaders, type SlowReaders } from "./live-readers.ts";
import type { Audience } from "./presence-news.ts";
import { type Outlet, Reader } from "./reader.ts";
import type { Tail } from "./tail.ts";

/** After `resync` clients come back spread over this long: so much for each, between these bounds, in milliseconds. */
const RESYNC_SPREAD = { least: 250, perReader: 5, most: 10_000 };

/** By connection: when the last of its rooms that wait to catch up has had its turn. */
const turns = new WeakMap<Outlet, Promise<void>>();

/** What readers need of their feed, which is one: closures would be a third of what a room keeps (docs/performance.md). */
export interface Stream {
  readonly room: string;
  readonly tail: Tail;
  /** The last entry that was passed on; undefined until the feed has started. */
  readonly position: Position | undefined;
  readonly counts: FeedCounts;
  /** One page after `seq`, however long that takes; undefined once the feed is closed, or it is not wanted any more. */
  read(seq: number, isWanted: () => boolean): Promise<Page | undefined>;
  /** The log may have lost what a reader was given. */
  suspect(): void;
  /** Where the room's presence stands, for somebody who missed changes. */
  standing(): Frame;
  failed(error: unknown): void;
}

/** The readers of one feed: the live ones get what is passed on, the others catch up from the log until they are live. */
export class Readers implements SlowReaders {
  readonly #stream: Stream;
  readonly #all = new Map<Outlet, Reader>();
  readonly #live: LiveReaders;
  /** Undefined until there is one: few rooms ever have any. */
  #ahead: Set<Reader> | undefined;

  constructor(stream: Stream) {
    this.#stream = stream;
    this.#live = new LiveReaders(stream.counts, this);
  }

  get size(): number {
    return this.#all.size;
  }

  get someAhead(): boolean {
    return (this.#ahead?.size ?? 0) > 0;
  }

  /** The fences of joins that the feed has not reached. */
  *fences(): Iterable<Position> {
    for (const { position } of this.#ahead ?? []) yield position;
  }

  attach(outlet: Outlet, position: Position, version: number): Reader {
    this.detach(outlet);
    const reader = new Reader(outlet, position, version);
    this.#all.set(outlet, reader);
    return reader;
  }

  /** Nothing of the room is written to the connection from now on. */
  detach(outlet: Outlet): void {
    this.endStream(outlet);
    this.#all.delete(outlet);
  }

  /** Ends the messages, not the presence. */
  endStream(outlet: Outlet): void {
    const reader = this.#all.get(outlet);
    if (reader !== undefined) this.#end(reader);
  }

  detachAll(): void {
    for (const outlet of [...this.#all.keys()]) this.detach(outlet);
  }

  /** The feed has passed an entry on. */
  pass(entry: Entry): void {
    if (this.#live.size > 0) this.#live.pass(frameOf(entry), positionOf(entry));
    if (this.#ahead !== undefined) for (const reader of [...this.#ahead]) this.settle(reader);
  }

  /** Finds a reader's state from its position and the feed's. */
  settle(reader: Reader): void {
    const at = this.#stream.position;
    if (at === undefined || reader.state === "ended") return;
    this.#settled(reader);
    if (samePosition(reader.position, at)) {
      reader.state = "live";
      this.#live.add(reader);
    } else if (canReach(reader, at)) {
      this.#wait(reader);
    } else if (reader.position.epoch !== at.epoch || reader.position.seq === at.seq) {
      // One of the two has not learned of a new epoch yet; the log knows which.
      this.#wait(reader);
      this.#stream.suspect();
    } else {
      const heard = continueFrom(reader.position, [], this.#stream.tail.entries);
      if (this.#write(reader, heard.entries) && reader.position.seq >= at.seq) this.settle(reader);
      else this.#goBehind(reader);
    }
  }

  /** The log agrees with the feed: whoever waits for what will not come is told. */
  endUnreachable(at: Position): void {
    for (const reader of this.#ahead ?? []) if (!canReach(reader, at)) this.#resync(reader, "epoch");
  }

  /**
   * The feed goes on from `head`, with nothing in between. Who joined in that line already goes on with it, from where the
   * join stood; all others were given something else. Returns the least version of presence that one who goes on was told.
   */
  restart(head: Position, reason: ResyncReason): number | undefined {
    this.#live.flush();
    let least: number | undefined;
    for (const reader of this.#all.values()) {
      if (reader.state === "ahead" && reader.position.epoch === head.epoch) {
        least = Math.min(least ?? reader.version, reader.version);
        this.settle(reader);
      } else {
        this.#resync(reader, reason);
      }
    }
    return least;
  }

  endAll(reason: ResyncReason): void {
    this.#live.flush();
    for (const reader of this.#all.values()) this.#resync(reader, reason);
  }

  /** A piece of news for all members who do not know it yet, with or without a stream. */
  tell(frame: Frame, { version, by }: Audience): void {
    for (const reader of this.#all.values()) {
      if (version <= reader.version || reader.outlet.connection === by) continue;
      if (!reader.outlet.offer(frame) && !reader.missesNews) {
        this.#tellLater(reader).catch((error: unknown) => this.#stream.failed(error));
      }
    }
  }

  /** Whoever counts versions would not see that changes are missing before the next one comes. */
  async #tellLater(reader: Reader): Promise<void> {
    reader.missesNews = true;
    await reader.outlet.drained();
    reader.missesNews = false;
    if (this.#all.get(reader.outlet) === reader) reader.outlet.write(this.#stream.standing());
  }

  #wait(reader: Reader): void {
    reader.state = "ahead";
    this.#ahead ??= new Set();
    this.#ahead.add(reader);
  }

  #settled(reader: Reader): void {
    if (this.#ahead?.delete(reader) && this.#ahead.size === 0) this.#ahead = undefined;
  }

  /** A live reader that cannot take more reads on by itself, once it drains. */
  fellBehind(reader: Reader, at: Position): void {
    reader.position = at;
    this.#stream.counts.slowReader();
    this.#goBehind(reader);
  }

  #goBehind(reader: Reader): void {
    // What was written to it last may have ended its connection.
    if (reader.state === "ended") return;
    reader.state = "behind";
    this.#catchUp(reader).catch((error: unknown) => this.#stream.failed(error));
  }

  /** Writes entries to one reader that is not live, as far as the feed itself has come. False where it owes too much. */
  #write(reader: Reader, entries: readonly Entry[]): boolean {
    const { counts } = this.#stream;
    const position = this.#stream.position;
    for (const entry of entries) {
      if (position !== undefined && entry.seq > position.seq) return true;
      reader.position = positionOf(entry);
      const frame = frameOf(entry);
      counts.caughtUp(frame.websocket.length);
      if (!reader.outlet.write(frame)) return false;
    }
    return true;
  }

  /** Reads page after page for one reader until it has come as far as the feed. */
  async #catchUp(reader: Reader): Promise<void> {
    const { tail } = this.#stream;
    tail.keep();
    try {
      while (reader.state === "behind") await inTurn(reader.outlet, () => this.#catchUpOnce(reader));
    } finally {
      tail.release();
    }
  }

  async #catchUpOnce(reader: Reader): Promise<void> {
    if (reader.state !== "behind") return;
    await reader.outlet.drained();
    if (reader.state !== "behind") return;
    const page = await this.#stream.read(reader.position.seq, () => reader.state === "behind");
    if (reader.state !== "behind") return;
    // The feed is closed: who came too late has nothing to wait for.
    if (page === undefined) this.#end(reader);
    else if (reader.outlet.keepsUp()) this.#goOn(reader, page);
  }

  #goOn(reader: Reader, page: Page): void {
    const at = this.#stream.position;
    const on = continueFrom(reader.position, page.entries, this.#stream.tail.entries);
    if (page.head.epoch !== reader.position.epoch || on.end === "broken" || at === undefined) {
      // What this reader was given is not what the log goes on from; whether the feed's is, it finds itself.
      this.#resync(reader, "epoch");
      this.#stream.suspect();
    } else if (on.entries.length === 0 && reader.position.seq < at.seq) {
      if (page.entries.length > 0 || page.head.seq >= at.seq) {
        this.#resync(reader, "behind");
      } else {
        this.#wait(reader);
        this.#stream.suspect();
      }
    } else if (this.#write(reader, on.entries) && reader.position.seq >= at.seq) {
      this.settle(reader);
    }
  }

  #resync(reader: Reader, reason: ResyncReason): void {
    if (reader.state === "ended") return;
    this.#end(reader);
    this.#stream.counts.resync(reason);
    const spread = RESYNC_SPREAD.least + RESYNC_SPREAD.perReader * this.#all.size;
    const withinMs = Math.min(spread, RESYNC_SPREAD.most);
    const event: ServerEvents["resync"] = { room: this.#stream.room, reason, withinMs };
    reader.outlet.write(Frame.ofEvent("resync", JSON.stringify(event)));
  }

  #end(reader: Reader): void {
    reader.state = "ended";
    this.#live.remove(reader);
    this.#settled(reader);
  }
}

/**
 * One room of a connection after the other, in turns: what one of them reads would be thrown away where others fill the connection
 * meanwhile, and the later ones never had their turn.
 */
function inTurn(outlet: Outlet, step: () => Promise<void>): Promise<void> {
  const taken = (turns.get(outlet) ?? Promise.resolve()).then(step);
  turns.set(
    outlet,
    // Whoever waits for this step hears of its failure; the next one has its turn all the same.
    taken.catch(() => undefined),
  );
  return taken;
}

/** An entry as members are told it: in its place among the others, whatever it is. */
function frameOf(entry: Entry): Frame {
  const removal = removalOf(entry);
  return removal === undefined
    ? Frame.ofEvent("message", entry.body)
    : Frame.ofEvent("messageRemoved", JSON.stringify(removal));
}

/** Whether a reader can be where the stream comes by, or is: not if it was given something else, or is behind. */
function canReach({ position }: Reader, at: Position): boolean {
  return position.epoch === at.epoch && (position.seq > at.seq || samePosition(position, at));
}
