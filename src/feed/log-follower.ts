import { randomUUID } from "node:crypto";
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import { RoomcastError } from "../errors.ts";
import type { Intervals } from "../intervals.ts";
import { type Appended, type Entry, NOWHERE, type Position, type RoomLog } from "../log/room-log.ts";
import { BOUNDS, type Message } from "../protocol.ts";
import type { Feed, FeedPolicy } from "./feed.ts";
import { NOT_COUNTED } from "./feed-counts.ts";
import { Feeds } from "./feeds.ts";
import type { Frame } from "./frame.ts";
import type { Outlet } from "./reader.ts";
import type { RoomChannels } from "./room-channels.ts";

/** Before trying again what Redis refused, in milliseconds; and what failed for a reason that does not pass by itself. */
const RETRY_MS = { away: 250, failed: 5_000 };
/** Missed messages that are heard in one turn of the event loop: what follows of one may go over all connections. */
const HEARD_PER_TURN = 100;

export interface LogFollowerOptions {
  readonly intervals: Intervals;
  /** A room of the service's own, which no client can name. */
  readonly room: string;
  readonly policy: FeedPolicy;
  readonly channels: RoomChannels;
  readonly log: RoomLog;
  /** Most bytes of messages that are kept while something is caught up. */
  readonly heldBytes: number;
  /** A message, in the log's order, each once. */
  heard(message: Message): void;
  /**
   * The following begins at this place, or begins anew: what came before may have been missed for good. Awaited before
   * anything is heard. Rejects with `unavailable`; may be repeated.
   */
  begins(head: Position): Promise<void>;
  /** Where it begins anew: whether what the log has of the time between is heard, too. It may have lost its last messages only. */
  readonly hearsMissed: boolean;
  failed(error: unknown): void;
}

/** This node's own ear in a room of the service, apart from those of clients' rooms: nobody counts it. */
export class LogFollower implements Outlet {
  /** Of no client. */
  readonly connection = "";
  readonly line = undefined;
  readonly #options: LogFollowerOptions;
  readonly #feeds: Feeds;
  #feed: Feed | undefined;
  /** The `ts` of what was heard last, or of the log's end where the following began; undefined before that. */
  #heardTs: number | undefined;
  #closed = false;

  constructor(options: LogFollowerOptions) {
    this.#options = options;
    this.#feeds = new Feeds({
      intervals: options.intervals,
      channels: options.channels,
      log: options.log,
      limits: { heldBytes: options.heldBytes, lingerMs: 0 },
      counts: NOT_COUNTED,
      policyOf: () => options.policy,
      failed: (_room, error) => options.failed(error),
      lost: () => Promise.resolve(),
    });
  }

  /** Resolves once everything that is stored from then on will be heard, however long that takes. */
  async begin(): Promise<void> {
    await this.#untilDone(async () => {
      this.#feed ??= await this.#feeds.hold(this.#options.room);
    });
    await this.#follow();
  }

  /** Stores a message of the service. Rejects with `unavailable`; the same `id` again is stored once. */
  async append(
    event: string,
    data: unknown,
    from: string = BOUNDS.serverUser,
    id: string = randomUUID(),
  ): Promise<Appended> {
    const { room, log, policy } = this.#options;
    const payload = JSON.stringify({ room, id, from: { id: from }, event, data });
    const stored = await log.append(room, {
      space: "k",
      sender: from,
      id,
      rest: payload.slice(1),
      known: this.#feed?.known,
      retention: policy.retention,
    });
    this.#feed?.stored(stored);
    return stored;
  }

  /** Something may have been published that was not heard: compares with the log soon. */
  suspect(): void {
    this.#feeds.suspectAll();
  }

  close(): void {
    this.#closed = true;
    this.#feeds.close();
  }

  /** The feed's way in: what clients would receive. */
  write(frame: Frame): boolean {
    for (const { text } of frame.parts) {
      const [event, payload] = JSON.parse(text.slice(1)) as [string, unknown];
      if (event === "message") this.#hear(payload as Message);
      else if (event === "resync") void this.#followAgain();
    }
    return true;
  }

  offer(frame: Frame): boolean {
    return this.write(frame);
  }

  keepsUp(): boolean {
    return true;
  }

  drained(): Promise<void> {
    return Promise.resolve();
  }

  /** However long that takes: a node that does not follow obeys nobody. Never rejects. */
  async #followAgain(): Promise<void> {
    while (!this.#closed) {
      try {
        await this.#follow();
        return;
      } catch (error) {
        this.#options.failed(error);
        await delay(RETRY_MS.failed, undefined, { ref: false });
      }
    }
  }

  #hear(message: Message): void {
    this.#heardTs = message.ts;
    this.#options.heard(message);
  }

  /** What the log has up to `head` and this node has not heard, by its time: the numbers may have been others' before. */
  async #missed(head: Position): Promise<readonly Message[]> {
    const { room, policy, hearsMissed } = this.#options;
    const heardTs = this.#heardTs;
    if (heardTs === undefined || !hearsMissed) return [];
    let missed: Entry[] = [];
    for (let before = head.seq + 1, more = true; more; ) {
      const page = await this.#feeds.readBefore(room, before, BOUNDS.pageMessages, policy.retention);
      if (page.head.epoch !== head.epoch) throw new RoomcastError("unavailable");
      const later = page.entries.filter(({ ts }) => ts > heardTs);
      missed = [...later, ...missed];
      before = page.entries[0]?.seq ?? 0;
      more = before > 1 && later.length > 0 && later.length === page.entries.length;
    }
    return missed.map(({ body }) => JSON.parse(body.toString()) as Message);
  }

  /** From the log's end on. */
  async #follow(): Promise<void> {
    const feed = this.#feed;
    if (feed === undefined) return;
    const { room, policy, log, begins } = this.#options;
    const mark = feed.expectJoin();
    try {
      await this.#untilDone(async () => {
        const [head] = await log.check([{ room, position: NOWHERE, retention: policy.retention }]);
        if (head === undefined) return;
        await begins(head);
        for (const [index, message] of (await this.#missed(head)).entries()) {
          if (index % HEARD_PER_TURN === 0) await nextTurn();
          this.#hear(message);
        }
        this.#heardTs = Math.max(this.#heardTs ?? 0, head.ts);
        feed.start(head, 0);
        feed.attach(this, { epoch: head.epoch, seq: head.seq, ts: head.ts }, 0, mark);
      });
    } finally {
      feed.expectNoMore();
    }
  }

  async #untilDone(step: () => Promise<void>): Promise<void> {
    while (!this.#closed) {
      try {
        await step();
        return;
      } catch (error) {
        if (!(error instanceof RoomcastError)) throw error;
        await delay(RETRY_MS.away, undefined, { ref: false });
      }
    }
  }
}
