import { RoomcastError } from "../errors.ts";
import type { Entry, Head, Page, Position, Retention } from "../log/room-log.ts";
import type { PresenceChange } from "../presence/presence.ts";
import type { ServerEvents } from "../protocol.ts";
import { continueFrom, positionOf, samePosition, stepTo } from "./catch-up.ts";
import { Frame } from "./frame.ts";
import { PresenceNews, type PresenceNewsLimits } from "./presence-news.ts";
import { type Outlet, Reader } from "./reader.ts";
import type { ChannelListener } from "./room-channels.ts";
import { Tail } from "./tail.ts";

/** After `resync` clients come back spread over this long: so much for each, between these bounds, in milliseconds. */
const RESYNC_SPREAD = { least: 250, perReader: 5, most: 10_000 };

/** What a feed needs of the node. */
export interface FeedSurroundings {
  /** Reads one page after `seq`; feeds of the same node may share the reading. */
  readPage(room: string, seq: number, retention: Retention): Promise<Page>;
  /** Asks for a comparison with the log, which ends in `compare`. Any number of calls make one. */
  suspect(feed: Feed): void;
  /** Waits before the next try of something that Redis refused. */
  pause(): Promise<void>;
  failed(room: string, error: unknown): void;
  readonly counts: FeedCounts;
}

/** Called on the hot path: these only add up. */
export interface FeedCounts {
  delivered(readers: number): void;
  gapRepaired(): void;
  resync(reason: ServerEvents["resync"]["reason"]): void;
  slowReader(): void;
}

/** What the room's type says about its stream. */
export interface FeedPolicy {
  readonly retention: Retention;
  readonly presence: PresenceNewsLimits;
}

/** A comparison with the log that was asked for: where the feed stood, and whether the chain had not fitted by then. */
export interface Question {
  readonly position: Position;
  readonly broken: boolean;
}

/**
 * One room's live stream on this node. It passes on each entry of the log once, in order, without a hole; what the
 * channel did not bring is read from the log before anything later is passed on.
 *
 * - `opening`: subscribed, but no join has told where the log's end is;
 * - `live`: passes on what it hears; `repairing`: reads what it missed, and hears on into the tail; `closed`.
 */
export class Feed implements ChannelListener {
  readonly room: string;
  readonly retention: Retention;
  readonly #around: FeedSurroundings;
  readonly #tail: Tail;
  readonly #news: PresenceNews;
  readonly #readers = new Map<Outlet, Reader>();
  readonly #live = new Set<Reader>();
  readonly #ahead = new Set<Reader>();
  #state: "opening" | "live" | "repairing" | "closed" = "opening";
  /** Counts repairs, so that one that was overtaken knows it. */
  #repairs = 0;
  /** The chain did not fit: if the log sees no new epoch either, the stream still cannot go on. */
  #broken = false;
  #position: Position | undefined;
  /** The furthest entry of the latest epoch that the channel brought, whether or not it could be passed on. */
  #heard: Position | undefined;
  #version = 0;
  /** The subscription was lost while no join had told a position to compare. */
  #unsure = false;

  /** `heldBytes`: most bytes of live entries kept for joins and repairs under way. */
  constructor(room: string, policy: FeedPolicy, heldBytes: number, around: FeedSurroundings) {
    this.room = room;
    this.retention = policy.retention;
    this.#around = around;
    this.#tail = new Tail(heldBytes);
    this.#news = new PresenceNews(room, policy.presence, (frame, change) => this.#tell(frame, change));
  }

  /** The furthest place that the log is known to have had: of an entry passed on or heard, or of a join's fence. */
  get known(): Position | undefined {
    let furthest = this.#position;
    const further = (place: Position) => {
      if (place.epoch === furthest?.epoch && place.seq > furthest.seq) furthest = place;
    };
    if (this.#heard !== undefined) further(this.#heard);
    for (const { position } of this.#ahead) further(position);
    return furthest;
  }

  get readers(): number {
    return this.#readers.size;
  }

  /** A join is under way: what is heard from now on is kept for it, until `expectNoMore`. */
  expectJoin(): void {
    this.#tail.keep();
  }

  expectNoMore(): void {
    this.#tail.release();
  }

  /** The first join tells where the log's end is. Later calls change nothing. */
  start(position: Position, version: number): void {
    this.#version = Math.max(this.#version, version);
    if (this.#state !== "opening") return;
    this.#position = position;
    this.#state = "live";
    for (const entry of this.#tail.entries) this.#hear(entry);
    if (this.#unsure) this.#around.suspect(this);
    this.#unsure = false;
  }

  /** Begins to write everything after `position` to a connection; in the turn in which the join is acknowledged. */
  attach(outlet: Outlet, position: Position, version: number): Reader {
    this.detach(outlet);
    const reader = new Reader(outlet, position, version);
    this.#readers.set(outlet, reader);
    for (const change of this.#tail.changes) this.#news.replay(change, reader);
    this.#settle(reader);
    return reader;
  }

  /** Nothing of this room is written to the connection from now on. */
  detach(outlet: Outlet): void {
    const reader = this.#readers.get(outlet);
    if (reader === undefined) return;
    this.#end(reader);
    this.#readers.delete(outlet);
  }

  /** Ends the messages, not the presence: a newer join of the same connection is under way. */
  endStream(outlet: Outlet): void {
    const reader = this.#readers.get(outlet);
    if (reader !== undefined) this.#end(reader);
  }

  close(): void {
    this.#state = "closed";
    this.#news.close();
    for (const outlet of [...this.#readers.keys()]) this.detach(outlet);
  }

  entry(entry: Entry): void {
    this.#tail.entry(entry);
    if (this.#heard?.epoch !== entry.epoch || entry.seq > this.#heard.seq) this.#heard = positionOf(entry);
    if (this.#state === "live") this.#hear(entry);
  }

  presence(change: PresenceChange): void {
    this.#tail.change(change);
    this.#version = Math.max(this.#version, change.version);
    this.#news.hear(change);
  }

  resumed(): void {
    if (this.#state === "opening") this.#unsure = true;
    else this.#around.suspect(this);
  }

  /** What to compare with the log now; undefined where there is nothing yet. */
  question(): Question | undefined {
    const position = this.known;
    return position === undefined ? undefined : { position, broken: this.#broken };
  }

  /** Takes the answer of the log: repairs what was missed, or starts anew where the line of numbers broke. */
  compare(asked: Question, head: Head): void {
    if (this.#state === "closed" || this.#position === undefined) return;
    if (head.version > this.#version) {
      this.#version = head.version;
      this.#news.missed(head.version, head.memberCount);
    }
    const moved = this.#position.epoch !== asked.position.epoch;
    if (!moved && (head.epoch !== asked.position.epoch || asked.broken)) {
      this.#restart(head, "epoch");
      return;
    }
    for (const reader of this.#ahead) if (!this.#canReach(reader, this.#position)) this.#resync(reader, "epoch");
    if (head.epoch === this.#position.epoch && head.seq > this.#position.seq) this.#repair();
  }

  #doubt(): void {
    this.#broken = true;
    this.#around.suspect(this);
  }

  #hear(entry: Entry): void {
    const at = this.#position;
    if (at === undefined || this.#state !== "live") return;
    const step = stepTo(at, entry);
    if (step === "next") this.#pass(entry);
    else if (step === "gap") this.#repair();
    else if (step === "broken") this.#doubt();
  }

  #pass(entry: Entry): void {
    this.#position = positionOf(entry);
    if (this.#live.size > 0) {
      const frame = Frame.ofEvent("message", entry.body);
      for (const reader of this.#live) {
        if (!reader.outlet.write(frame)) this.#fallBehind(reader);
      }
      this.#around.counts.delivered(this.#live.size);
    }
    if (this.#ahead.size > 0) for (const reader of [...this.#ahead]) this.#settle(reader);
  }

  /** A live reader that cannot take more reads on by itself, once it drains. */
  #fallBehind(reader: Reader): void {
    if (this.#position === undefined) return;
    this.#live.delete(reader);
    reader.position = this.#position;
    reader.state = "behind";
    this.#around.counts.slowReader();
    this.#run(this.#catchUp(reader));
  }

  /** Finds a reader's state from its position and the feed's. */
  #settle(reader: Reader): void {
    const at = this.#position;
    if (at === undefined || reader.state === "ended") return;
    this.#ahead.delete(reader);
    if (samePosition(reader.position, at)) {
      reader.state = "live";
      this.#live.add(reader);
    } else if (reader.position.epoch !== at.epoch || reader.position.seq === at.seq) {
      // One of the two has not learned of a new epoch yet; the log knows which.
      this.#wait(reader);
      this.#around.suspect(this);
    } else if (reader.position.seq > at.seq) {
      this.#wait(reader);
    } else if (!this.#write(reader, continueFrom(reader.position, [], this.#tail.entries).entries)) {
      reader.state = "behind";
      this.#run(this.#catchUp(reader));
    } else if (reader.position.seq >= at.seq) {
      this.#settle(reader);
    } else {
      reader.state = "behind";
      this.#run(this.#catchUp(reader));
    }
  }

  #wait(reader: Reader): void {
    reader.state = "ahead";
    this.#ahead.add(reader);
  }

  /** Writes entries to one reader that is not live, as far as the feed itself has come. False where it owes too much. */
  #write(reader: Reader, entries: readonly Entry[]): boolean {
    for (const entry of entries) {
      if (this.#position !== undefined && entry.seq > this.#position.seq) return true;
      reader.position = positionOf(entry);
      this.#around.counts.delivered(1);
      if (!reader.outlet.write(Frame.ofEvent("message", entry.body))) return false;
    }
    return true;
  }

  /** Reads page after page for one reader until it has come as far as the feed. */
  async #catchUp(reader: Reader): Promise<void> {
    this.#tail.keep();
    try {
      while (reader.state === "behind") {
        await reader.outlet.drained();
        if (reader.state !== "behind") return;
        const page = await this.#read(reader.position.seq);
        if (reader.state !== "behind" || page === undefined) return;
        const on = continueFrom(reader.position, page.entries, this.#tail.entries);
        const at = this.#position;
        if (page.head.epoch !== reader.position.epoch || on.end === "broken" || at === undefined) {
          // What this reader was given is not what the log goes on from; whether the feed's is, it finds itself.
          this.#resync(reader, "epoch");
          this.#around.suspect(this);
        } else if (on.entries.length === 0 && reader.position.seq < at.seq) {
          if (page.head.seq >= at.seq) this.#resync(reader, "behind");
          else {
            this.#wait(reader);
            this.#around.suspect(this);
          }
        } else if (this.#write(reader, on.entries) && reader.position.seq >= at.seq) {
          this.#settle(reader);
        }
      }
    } finally {
      this.#tail.release();
    }
  }

  /** Reads what the channel did not bring, and goes on with what it brought meanwhile. */
  #repair(): void {
    if (this.#state !== "live") return;
    this.#state = "repairing";
    this.#repairs += 1;
    this.#run(this.#repairing(this.#repairs));
  }

  async #repairing(repair: number): Promise<void> {
    this.#tail.keep();
    try {
      while (this.#position !== undefined) {
        const asked = this.#position;
        const known = this.known ?? asked;
        const page = await this.#read(asked.seq);
        if (this.#state !== "repairing" || repair !== this.#repairs || page === undefined) return;
        const on = continueFrom(asked, page.entries, this.#tail.entries);
        for (const entry of on.entries) this.#pass(entry);
        if (on.end === "broken" || page.head.epoch !== asked.epoch || page.head.seq < known.seq) {
          this.#state = "live";
          if (on.end === "broken") this.#doubt();
          else this.#around.suspect(this);
          return;
        }
        if (on.entries.length === 0 && page.head.seq > asked.seq) {
          this.#restart(page.head, "behind");
          return;
        }
        if (on.end === "all" && this.#position.seq >= page.head.seq) {
          this.#state = "live";
          this.#around.counts.gapRepaired();
          return;
        }
      }
    } finally {
      this.#tail.release();
    }
  }

  /** Undefined once the feed is closed or its readers were told that the log cannot be read. */
  async #read(seq: number): Promise<Page | undefined> {
    while (this.#state !== "closed") {
      try {
        return await this.#around.readPage(this.room, seq, this.retention);
      } catch (error) {
        if (!(error instanceof RoomcastError && error.code === "unavailable")) {
          this.#around.failed(this.room, error);
          for (const reader of this.#readers.values()) this.#resync(reader, "log_unavailable");
        }
        await this.#around.pause();
      }
    }
    return undefined;
  }

  /** The stream cannot be continued: every reader is told, and the feed goes on from the log's end. */
  #restart(head: Position, reason: "epoch" | "behind"): void {
    this.#position = { epoch: head.epoch, seq: head.seq, ts: head.ts };
    this.#state = "live";
    this.#broken = false;
    for (const reader of this.#readers.values()) {
      if (reader.state === "ahead" && this.#canReach(reader, head)) this.#settle(reader);
      else this.#resync(reader, reason);
    }
    for (const entry of this.#tail.entries) if (entry.epoch === head.epoch) this.#hear(entry);
  }

  /** Whether a reader that waits ahead can be where the stream comes by. */
  #canReach({ position }: Reader, at: Position): boolean {
    return position.epoch === at.epoch && (position.seq > at.seq || samePosition(position, at));
  }

  #resync(reader: Reader, reason: ServerEvents["resync"]["reason"]): void {
    if (reader.state === "ended") return;
    this.#end(reader);
    this.#around.counts.resync(reason);
    const spread = RESYNC_SPREAD.least + RESYNC_SPREAD.perReader * this.#readers.size;
    const event: ServerEvents["resync"] = { room: this.room, reason, withinMs: Math.min(spread, RESYNC_SPREAD.most) };
    reader.outlet.write(Frame.ofEvent("resync", JSON.stringify(event)));
  }

  #end(reader: Reader): void {
    reader.state = "ended";
    this.#live.delete(reader);
    this.#ahead.delete(reader);
  }

  #tell(frame: Frame, change: { version: number; by: string | undefined }): void {
    for (const reader of this.#readers.values()) {
      if (change.version > reader.version && reader.outlet.connection !== change.by) reader.outlet.write(frame);
    }
  }

  #run(work: Promise<void>): void {
    work.catch((error: unknown) => this.#around.failed(this.room, error));
  }
}
