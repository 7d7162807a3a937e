import { RoomcastError } from "../errors.ts";
import type { Entry, Head, Page, Position, Retention } from "../log/room-log.ts";
import type { PresenceChange } from "../presence/presence.ts";
import { continueFrom, positionOf, samePosition, stepTo } from "./catch-up.ts";
import type { FeedCounts, RoomCount } from "./feed-counts.ts";
import type { Frame } from "./frame.ts";
import { PresenceNews, type PresenceNewsLimits } from "./presence-news.ts";
import { PresenceVersion, type VersionQuestion } from "./presence-version.ts";
import type { Outlet } from "./reader.ts";
import { Readers, type Stream } from "./readers.ts";
import type { ChannelListener } from "./room-channels.ts";
import { Tail } from "./tail.ts";

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

/** What the room's type says about its stream. */
export interface FeedPolicy {
  readonly retention: Retention;
  readonly presence: PresenceNewsLimits;
}

/** A comparison with the log that was asked for: where the feed stood, and whether the chain had not fitted by then. */
export interface Question extends VersionQuestion {
  readonly position: Position;
  readonly broken: boolean;
  /** What it takes for the oldest of the log, where the feed has nothing to ask but whether the room is as it takes it to be. */
  readonly oldest: string | undefined;
}

/**
 * One room's live stream on this node. It passes on each entry of the log once, in order, without a hole; what the
 * channel did not bring is read from the log before anything later is passed on.
 *
 * - `opening`: subscribed, but no join has told where the log's end is;
 * - `live`: passes on what it hears; `repairing`: reads what it missed, and hears on into the tail; `closed`.
 */
export class Feed implements ChannelListener, Stream {
  readonly room: string;
  #retention: Retention;
  /** For its readers. */
  readonly tail: Tail;
  readonly #around: FeedSurroundings;
  readonly #news: PresenceNews;
  readonly #readers: Readers;
  #state: "opening" | "live" | "repairing" | "closed" = "opening";
  /** Counts repairs, so that one that was overtaken knows it. */
  #repairs = 0;
  /** The chain did not fit: if the log sees no new epoch either, the stream still cannot go on. */
  #broken = false;
  /** The epoch that this stream was in before: its last entries may come after the news that it is over. */
  #left: string | undefined;
  #position: Position | undefined;
  /** The furthest entry of the latest epoch that the channel brought, whether or not it could be passed on. */
  #heard: Position | undefined;
  /** The furthest place that an append was answered with, until the entry is passed on or the log says that it still stands there. */
  #stored: Position | undefined;
  readonly #version = new PresenceVersion();
  readonly #count: RoomCount;
  /** Of the last head, if that was what the feed took the room to be. */
  #oldest: string | undefined;
  /** With each message after this one the log drops its oldest: what it holds then is known by a comparison only. */
  #fullAt = 0;
  /** Up to here the last comparison counted what the log holds. */
  #countedTo = 0;
  /** The subscription was lost while no join had told a position to compare. */
  #unsure = false;

  /** `heldBytes`: most bytes of live entries kept for joins and repairs under way. */
  constructor(room: string, policy: FeedPolicy, heldBytes: number, around: FeedSurroundings) {
    this.room = room;
    this.#retention = policy.retention;
    this.#around = around;
    this.#count = around.counts.roomOpened(room);
    this.tail = new Tail(heldBytes);
    this.#readers = new Readers(this);
    this.#news = new PresenceNews(room, policy.presence, this.#readers);
  }

  get position(): Position | undefined {
    return this.#position;
  }

  get retention(): Retention {
    return this.#retention;
  }

  /** From now on the room's type says this. */
  adopt({ retention, presence }: FeedPolicy): void {
    this.#retention = retention;
    this.#news.adopt(presence);
    // What the log holds by it, the next comparison tells.
    this.#oldest = undefined;
    this.suspect();
  }

  get counts(): FeedCounts {
    return this.#around.counts;
  }

  suspect(): void {
    this.#around.suspect(this);
  }

  standing(): Frame {
    return this.#news.standing();
  }

  failed(error: unknown): void {
    this.#around.failed(this.room, error);
  }

  /**
   * The furthest place that the log is known to have had: of an entry passed on, heard or stored, or of a join's fence. Where something
   * else may stand at the place of what was stored: that one.
   */
  get known(): Position | undefined {
    if (this.#isBehind(this.#stored)) return this.#stored;
    let furthest = this.#position;
    const further = (place: Position) => {
      if (place.epoch === furthest?.epoch && place.seq > furthest.seq) furthest = place;
    };
    if (this.#heard !== undefined) further(this.#heard);
    if (this.#stored !== undefined) further(this.#stored);
    for (const fence of this.#readers.fences()) further(fence);
    return furthest;
  }

  /** A join is under way: what is heard from now on is kept for it, until `expectNoMore`. Returns what `attach` asks for. */
  expectJoin(): number {
    this.tail.keep();
    return this.tail.mark;
  }

  expectNoMore(): void {
    this.tail.release();
  }

  /**
   * The first join tells where the log's end is. Later calls change nothing: a version that a later join was told, and that
   * the feed did not hear, is news to everybody who joined before it.
   */
  start(position: Position, version: number): void {
    if (this.#state !== "opening") return;
    this.#version.begin(version);
    this.#position = position;
    this.#state = "live";
    if (this.#isBehind(this.#stored)) this.#findStored();
    for (const entry of this.tail.entries) this.#hear(entry);
    if (this.#unsure) this.suspect();
    this.#unsure = false;
  }

  /**
   * Begins to write everything after `position` to a connection; in the turn in which the join is acknowledged. What was heard
   * before it was expected (`mark`) is in its ack.
   */
  attach(outlet: Outlet, position: Position, version: number, mark: number): void {
    const reader = this.#readers.attach(outlet, position, version);
    this.#count.has(this.#readers.size);
    this.#version.joined(version);
    // A join in another epoch counts otherwise: it is told where presence stands once the feed is there.
    if (position.epoch === this.#position?.epoch) {
      const changes = this.tail.changesAfter(mark);
      for (const change of changes) this.#news.replay(change, reader);
      this.#doubtVersion(Math.max(version, changes.at(-1)?.version ?? 0));
    }
    this.#readers.settle(reader);
  }

  /** A member was shown who is there, as of this version. */
  membersShown(version: number): void {
    this.#version.reached(version);
  }

  /** Nothing of this room is written to the connection from now on. */
  detach(outlet: Outlet): void {
    this.#readers.detach(outlet);
    this.#count.has(this.#readers.size);
  }

  /** Ends the messages, not the presence: a newer join of the same connection is under way. */
  endStream(outlet: Outlet): void {
    this.#readers.endStream(outlet);
  }

  close(): void {
    this.#state = "closed";
    this.#news.close();
    this.#readers.detachAll();
    this.#count.closed();
  }

  entry(entry: Entry): void {
    this.tail.entry(entry);
    this.#version.followed();
    if (entry.epoch === this.#left) return;
    if (this.#heard?.epoch !== entry.epoch || entry.seq > this.#heard.seq) this.#heard = positionOf(entry);
    this.#hear(entry);
  }

  /**
   * The log told this node, by the answer to an append, that this place is there. The channel brings the entry; where it does not,
   * and a failover loses the entry too, nothing else would show that it was there, and was acknowledged.
   */
  stored({ epoch, seq, ts }: Position): void {
    const at = this.#position;
    if (epoch === this.#left || this.#state === "closed") return;
    if (epoch === at?.epoch && (seq < at.seq || (seq === at.seq && ts === at.ts))) return;
    if (this.#stored?.epoch !== epoch || seq > this.#stored.seq) this.#stored = { epoch, seq, ts };
    if (at !== undefined && (epoch !== at.epoch || seq === at.seq)) this.suspect();
  }

  broadcast(): void {
    if (this.#readers.size > 0) this.#count.emitted();
  }

  presence(change: PresenceChange): void {
    this.tail.change(change);
    const afterGap = this.#version.heard(change.version);
    this.#news.hear(change, afterGap);
  }

  resumed(): void {
    // Others may be missing after them, and count otherwise.
    this.tail.forgetChanges();
    this.#version.resumed();
    if (this.#state === "opening") this.#unsure = true;
    else this.suspect();
  }

  /**
   * The store may have lost the last changes, and counted others since: by the numbers alone nobody would see it. The next
   * comparison tells members where presence stands, unless nothing was heard after `keptUntil` (by `performance.now()`).
   */
  recount(keptUntil: number): void {
    this.#version.recount(keptUntil);
  }

  /**
   * What to compare with the log now; undefined where there is nothing yet. Where the chain did not fit, that is what was
   * passed on: the entries heard since belong to the other line, and the log would agree with them.
   */
  question(): Question | undefined {
    const position = this.#broken ? this.#position : this.known;
    if (position === undefined) return undefined;
    const isSure = position === this.#position && !this.#broken && !this.#readers.someAhead && this.#version.isSure;
    const isCounted = position.seq <= Math.max(this.#fullAt, this.#countedTo);
    const oldest = isSure && isCounted ? this.#oldest : undefined;
    return { position, broken: this.#broken, oldest, ...this.#version.question() };
  }

  /** Takes the answer of the log: repairs what was missed, or starts anew where the line of numbers broke. */
  compare(asked: Question, head: Head): void {
    if (this.#state === "closed" || this.#position === undefined) return;
    this.#count.logHolds(head.messages, head.bytes);
    this.#countedTo = head.seq;
    this.#fullAt = head.seq + this.retention.maxMessages - head.messages;
    this.#comparePresence(asked, head);
    const moved = this.#position.epoch !== asked.position.epoch;
    if (!moved && (head.epoch !== asked.position.epoch || asked.broken)) {
      this.#restart(head, "epoch");
      // Heard in the line before, after the log was asked: its version is behind what members know.
      if (head.version < this.#version.furthest) this.suspect();
      return;
    }
    if (asked.position === this.#stored && this.#isBehind(this.#stored)) {
      // It stands there. Of the stream's own place, which is further, nothing was asked.
      this.#stored = undefined;
      this.suspect();
    }
    this.#readers.endUnreachable(this.#position);
    if (head.epoch === this.#position.epoch && head.seq > this.#position.seq) this.#repair();
    const agrees = samePosition(head, this.#position) && head.version === this.#version.known;
    this.#oldest = agrees ? head.oldest : undefined;
  }

  #comparePresence(asked: VersionQuestion, { version, memberCount }: Head): void {
    const answer = this.#version.compare(asked, version);
    if (answer !== "known") this.#news.missed(this.#version.known, memberCount, answer === "recounted");
  }

  /** The others were told of changes that this join does not know, and that nobody heard: the next comparison tells it too. */
  #doubtVersion(known: number): void {
    if (!this.#version.covers(known)) this.suspect();
  }

  #hear(entry: Entry): void {
    if (this.#state !== "live" || this.#position === undefined) return;
    const step = stepTo(this.#position, entry);
    if (step === "next") this.#pass(entry);
    else if (step === "gap") this.#repair();
    else if (step === "broken") this.#doubt();
  }

  #pass(entry: Entry): void {
    this.#position = positionOf(entry);
    if (this.#isBehind(this.#stored)) this.#findStored();
    if (this.#readers.size > 0) this.#count.emitted();
    if (entry.seq > this.#countedTo) this.#count.logGrew(entry.body.length);
    this.#readers.pass(entry);
  }

  #isBehind(place: Position | undefined): boolean {
    return place !== undefined && place.epoch === this.#position?.epoch && place.seq <= this.#position.seq;
  }

  /** The stream has come to where this node stored something: it was just that, or the log is asked about it. */
  #findStored(): void {
    if (this.#stored?.seq === this.#position?.seq && this.#stored?.ts === this.#position?.ts) this.#stored = undefined;
    else this.suspect();
  }

  #doubt(): void {
    this.#broken = true;
    this.suspect();
  }

  /** Reads what the channel did not bring, and goes on with what it brought meanwhile. */
  #repair(): void {
    if (this.#state !== "live") return;
    this.#state = "repairing";
    this.#repairs += 1;
    this.counts.gapFound();
    this.#repairing(this.#repairs).catch((error: unknown) => this.failed(error));
  }

  async #repairing(repair: number): Promise<void> {
    this.tail.keep();
    try {
      while (this.#state === "repairing" && this.#position !== undefined) {
        const asked = this.#position;
        const known = this.known ?? asked;
        const page = await this.read(asked.seq, () => this.#state === "repairing");
        if (this.#state !== "repairing" || repair !== this.#repairs || page === undefined) return;
        this.#goOn(asked, known, page);
      }
    } finally {
      this.tail.release();
    }
  }

  /** One step of a repair: it is over once the state is `live` again. */
  #goOn(asked: Position, known: Position, page: Page): void {
    const heard = this.tail.entries.filter(({ epoch }) => epoch !== this.#left);
    const on = continueFrom(asked, page.entries, heard);
    for (const entry of on.entries) this.#pass(entry);
    if (on.end === "broken") {
      this.#state = "live";
      this.#doubt();
    } else if (page.head.epoch !== asked.epoch || page.head.seq < known.seq) {
      this.#state = "live";
      this.suspect();
    } else if (on.entries.length === 0 && page.head.seq > asked.seq) {
      this.#restart(page.head, "behind");
    } else if (on.end === "all" && on.at.seq >= page.head.seq) {
      this.#state = "live";
      this.counts.gapRepaired();
    }
  }

  /** While the log cannot be read for another reason than Redis, readers are told. */
  async read(seq: number, isWanted: () => boolean): Promise<Page | undefined> {
    while (this.#state !== "closed" && isWanted()) {
      try {
        return await this.#around.readPage(this.room, seq, this.retention);
      } catch (error) {
        if (!(error instanceof RoomcastError && error.code === "unavailable")) {
          this.failed(error);
          this.#readers.endAll("log_unavailable");
        }
        await this.#around.pause();
      }
    }
    return undefined;
  }

  /** The stream cannot be continued: its readers are told, and the feed goes on from the log's end. */
  #restart(head: Position, reason: "epoch" | "behind"): void {
    const isNewEpoch = head.epoch !== this.#position?.epoch;
    if (isNewEpoch) {
      this.#left = this.#position?.epoch;
      this.tail.forgetChanges();
    }
    this.#position = { epoch: head.epoch, seq: head.seq, ts: head.ts };
    this.#state = "live";
    this.#broken = false;
    this.#oldest = undefined;
    if (this.#isBehind(this.#stored)) this.#findStored();
    const least = this.#readers.restart(head, reason);
    // Those who are in this line already know its versions, and the feed maybe those of the one before.
    if (least !== undefined && isNewEpoch) this.#doubtVersion(least);
    for (const entry of this.tail.entries) if (entry.epoch === head.epoch) this.#hear(entry);
  }
}
