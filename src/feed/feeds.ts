import { setTimeout as delay } from "node:timers/promises";
import { RoomcastError } from "../errors.ts";
import type { Intervals } from "../intervals.ts";
import type { Page, PageSize, Retention, RoomLog } from "../log/room-log.ts";
import { BOUNDS } from "../protocol.ts";
import { Rounds } from "../rounds.ts";
import { Feed, type FeedPolicy, type FeedSurroundings, type Question } from "./feed.ts";
import type { FeedCounts } from "./feed-counts.ts";
import type { RoomChannels } from "./room-channels.ts";

/** Most positions compared with the log in one turn: more would hold the event loop. */
const CHECKS_PER_TURN = 500;
/** Each open feed is compared with its log at least this often, in seconds, however quiet it is, where so many turns are enough for all. */
const CHECK_EVERY_S = 30;
const TURN_MS = 1_000;
/** When rooms whose last changes may be lost are compared again, in seconds: other nodes notice later, and take their time. */
const RECOUNTED_AFTER_S = [2, 5, 10, 20];
/** Before trying again what Redis refused, in milliseconds. */
const RETRY_MS = 250;
const PAGE: PageSize = { maxMessages: BOUNDS.pageMessages, maxBytes: BOUNDS.pageBytes };

export interface FeedsLimits {
  /** Most bytes of live entries that one feed keeps for joins and repairs under way. */
  readonly heldBytes: number;
  /** How long a feed lives on without members, so that reconnects do not thrash subscriptions, in milliseconds. */
  readonly lingerMs: number;
}

export interface FeedsOptions {
  readonly intervals: Intervals;
  readonly channels: RoomChannels;
  readonly log: RoomLog;
  readonly limits: FeedsLimits;
  readonly counts: FeedCounts;
  policyOf(room: string): FeedPolicy;
  failed(room: string, error: unknown): void;
  /**
   * The room's line of numbers broke, and its presence may be gone with it. Awaited before readers are told: they join
   * again then, and nobody shall seem to come who was there all the time. Rejects with `unavailable`.
   */
  lost(room: string): Promise<void>;
}

interface Suspect {
  readonly feed: Feed;
  readonly question: Question;
}

interface OpenFeed {
  readonly feed: Feed;
  /** Resolved once the subscription is confirmed. */
  readonly opened: Promise<void>;
  holders: number;
  linger: NodeJS.Timeout | undefined;
}

/** The feeds of this node: one a room, as long as somebody holds it and a little longer. */
export class Feeds {
  readonly #options: FeedsOptions;
  readonly #open = new Map<string, OpenFeed>();
  #suspects = new Set<Feed>();
  readonly #pages = new Map<string, Promise<Page>>();
  readonly #surroundings: FeedSurroundings;
  readonly #stopRounds: () => void;
  /** Seconds since the last recount. */
  #recountedFor = Number.POSITIVE_INFINITY;
  readonly #rounds = new Rounds(() => this.#open.values());
  #checking = false;
  #closed = false;

  constructor(options: FeedsOptions) {
    this.#options = options;
    this.#surroundings = {
      readPage: (room, seq, retention) => this.readAfter(room, seq, retention),
      suspect: (feed) => this.#suspect(feed),
      pause: () => delay(RETRY_MS, undefined, { ref: false }),
      failed: options.failed,
      counts: options.counts,
    };
    this.#stopRounds = options.intervals.every(TURN_MS, () => this.#nextRound());
  }

  get size(): number {
    return this.#open.size;
  }

  get(room: string): Feed | undefined {
    return this.#open.get(room)?.feed;
  }

  /** Opens the room's feed, or holds it if it is open. Whoever got it calls `release` once. Rejects with `unavailable`. */
  async hold(room: string): Promise<Feed> {
    if (this.#closed) throw new RoomcastError("unavailable", "this node is stopping: reconnect");
    const open = this.#open.get(room) ?? this.#begin(room);
    open.holders += 1;
    clearTimeout(open.linger);
    open.linger = undefined;
    try {
      await open.opened;
    } catch (error) {
      this.release(room, open.feed);
      throw error;
    }
    return open.feed;
  }

  release(room: string, feed: Feed): void {
    const open = this.#open.get(room);
    if (open?.feed !== feed) return;
    open.holders -= 1;
    if (open.holders > 0) return;
    open.linger = setTimeout(() => this.#end(room, open), this.#options.limits.lingerMs).unref();
  }

  /**
   * A page after `seq`. Whoever asks for the same one while it is being read shares the reading: it may have begun before
   * the call.
   */
  readAfter(room: string, seq: number, retention: Retention): Promise<Page> {
    return this.#share(`after ${seq} ${room}`, () => this.#options.log.readAfter(room, seq, PAGE, retention));
  }

  /** The last `maxMessages` entries before `seq`; shared as `readAfter`. */
  readBefore(room: string, seq: number, maxMessages: number, retention: Retention): Promise<Page> {
    const size = { ...PAGE, maxMessages };
    return this.#share(`before ${seq} ${maxMessages} ${room}`, () =>
      this.#options.log.readBefore(room, seq, size, retention),
    );
  }

  /** Every feed is compared with its log soon: whatever was published may not have been heard. */
  suspectAll(): void {
    for (const { feed } of this.#open.values()) this.#suspect(feed);
  }

  /**
   * The store may have lost the last changes of presence. Nodes put them right without a word, each when it has noticed: all
   * rooms are compared again and again for a while, also those that have nothing to be told now. When first, is for the caller
   * to say: once its own part is done.
   * `keptUntil`: what was heard before that moment, by `performance.now()`, the store has.
   */
  recount(keptUntil: number): void {
    for (const { feed } of this.#open.values()) feed.recount(keptUntil);
    this.#recountedFor = 0;
  }

  /** Room types changed: what they say now holds for rooms that are open, too. */
  adoptPolicies(): void {
    for (const [room, { feed }] of this.#open) feed.adopt(this.#options.policyOf(room));
  }

  close(): void {
    this.#closed = true;
    this.#stopRounds();
    for (const [room, open] of [...this.#open]) this.#end(room, open);
  }

  #begin(room: string): OpenFeed {
    const { channels, limits, policyOf } = this.#options;
    const feed = new Feed(room, policyOf(room), limits.heldBytes, this.#surroundings);
    const open: OpenFeed = { feed, opened: channels.open(room, feed), holders: 0, linger: undefined };
    this.#open.set(room, open);
    open.opened.catch(() => this.#end(room, open));
    return open;
  }

  #end(room: string, open: OpenFeed): void {
    clearTimeout(open.linger);
    if (this.#open.get(room) !== open) return;
    this.#open.delete(room);
    this.#suspects.delete(open.feed);
    open.feed.close();
    this.#options.channels.close(room);
  }

  #share(key: string, read: () => Promise<Page>): Promise<Page> {
    const shared = this.#pages.get(key);
    if (shared !== undefined) return shared;
    const reading = read().finally(() => this.#pages.delete(key));
    this.#pages.set(key, reading);
    return reading;
  }

  #suspect(feed: Feed): void {
    this.#suspects.add(feed);
    if (this.#checking) return;
    this.#checking = true;
    this.#check().catch((error: unknown) => this.#options.failed(feed.room, error));
  }

  async #check(): Promise<void> {
    // All that are suspected in this turn are asked about together.
    await Promise.resolve();
    try {
      while (this.#suspects.size > 0 && !this.#closed) await this.#compare(this.#takeSuspects());
    } finally {
      this.#checking = false;
    }
  }

  async #compare(asked: readonly Suspect[]): Promise<void> {
    let rest = asked;
    try {
      const changed = await this.#changed(asked);
      rest = changed;
      const heads = await this.#options.log.check(
        changed.map(({ feed: { room, retention }, question: { position, version } }) => ({
          ...{ room, position, retention, version },
        })),
      );
      const answers = changed.flatMap((suspect, index) => {
        const head = heads[index];
        return head === undefined ? [] : [{ ...suspect, head }];
      });
      const broken = answers.filter(({ question, head }) => head.epoch !== question.position.epoch);
      await Promise.all(broken.map(({ feed }) => this.#options.lost(feed.room)));
      for (const { feed, question, head } of answers) feed.compare(question, head);
    } catch (error) {
      await this.#compareLater(rest, error);
    }
  }

  /** Without those rooms that are what their feeds take them to be. */
  async #changed(asked: readonly Suspect[]): Promise<readonly Suspect[]> {
    const seen = asked.flatMap(({ feed: { room, retention }, question: { position, version, oldest } }) =>
      oldest === undefined ? [] : [{ room, position, retention, version, oldest }],
    );
    if (seen.length === 0) return asked;
    const changed = await this.#options.log.findChanged(seen);
    return asked.filter(({ feed, question }) => question.oldest === undefined || changed.has(feed.room));
  }

  /** One room whose keys are not what they should be must not keep all others from being compared. */
  async #compareLater(asked: readonly Suspect[], error: unknown): Promise<void> {
    if (error instanceof RoomcastError) {
      for (const { feed } of asked) if (this.get(feed.room) === feed) this.#suspects.add(feed);
      await this.#surroundings.pause();
    } else if (asked.length > 1) {
      for (const one of asked) await this.#compare([one]);
    } else {
      for (const { feed } of asked) this.#options.failed(feed.room, error);
    }
  }

  #takeSuspects(): Suspect[] {
    const all = this.#suspects;
    const taken: Feed[] = [];
    for (const feed of all) if (taken.push(feed) === CHECKS_PER_TURN) break;
    // Few are left over but after an outage.
    if (taken.length === all.size) this.#suspects = new Set();
    else for (const feed of taken) all.delete(feed);
    return taken.flatMap((feed) => {
      const question = feed.question();
      return question === undefined ? [] : [{ feed, question }];
    });
  }

  /** A share of all feeds a second, so that each has its turn and none of them costs a burst. */
  #nextRound(): void {
    this.#recountedFor += 1;
    if (RECOUNTED_AFTER_S.includes(this.#recountedFor)) this.suspectAll();
    const share = Math.min(CHECKS_PER_TURN, Math.ceil(this.#open.size / CHECK_EVERY_S));
    for (const { feed } of this.#rounds.take(share)) if (this.get(feed.room) === feed) this.#suspect(feed);
  }
}
