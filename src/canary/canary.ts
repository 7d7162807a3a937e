import { randomUUID } from "node:crypto";
import { RoomcastError } from "../errors.ts";
import type { FeedPolicy } from "../feed/feed.ts";
import { LogFollower } from "../feed/log-follower.ts";
import type { RoomChannels } from "../feed/room-channels.ts";
import type { Intervals } from "../intervals.ts";
import type { Entry, PageSize, Position, RoomLog } from "../log/room-log.ts";
import type { Message } from "../protocol.ts";
import { CanaryPairs, DEADLINE_MS, type Pair, type Stored } from "./pairs.ts";
import { StoreClock } from "./store-clock.ts";

/** The service's own room: no client can name it. */
const CANARY_ROOM = "_canary";
const CANARY_POLICY: FeedPolicy = {
  retention: { maxMessages: 20_000, maxBytes: 8 * 1024 * 1024, maxAgeMs: 10 * 60 * 1_000 },
  presence: { upToMembers: 0, againBelowMembers: 0 },
};
/** How often what was heard is compared with the log, in milliseconds. */
const COMPARE_MS = 5_000;
const PAGE: PageSize = { maxMessages: 1_000, maxBytes: 1024 * 1024 };

/** What canaries count: these only add up. */
export interface CanaryCounts {
  canarySent(): void;
  canaryFailed(): void;
  /** One was heard, so long after the log had it, in seconds. */
  canaryHeard(seconds: number): void;
}

export interface CanaryOptions {
  readonly intervals: Intervals;
  /** This node's name, by which others tell its messages apart. */
  readonly node: string;
  /** How often a message is sent, in milliseconds. */
  readonly everyMs: number;
  readonly channels: RoomChannels;
  readonly log: RoomLog;
  readonly heldBytes: number;
  readonly counts: CanaryCounts;
  failed(error: unknown): void;
}

/**
 * The delivery promise, measured all the time: every node stores messages in a room of the service, by the path that all
 * messages take, and each node compares what it heard of every node with what the log holds, which it reads by another
 * connection. So a pair's share of delivered messages is exact, also where its subscription is dead. The room is no user's:
 * it counts as no room, member or emit.
 */
export class Canary {
  readonly #options: CanaryOptions;
  readonly #follower: LogFollower;
  readonly #pairs = new CanaryPairs();
  readonly #clock = new StoreClock();
  /** When messages of this node that are not heard yet were sent, by id. */
  readonly #sent = new Map<string, number>();
  readonly #stops: (() => void)[] = [];
  #comparedTo: Position | undefined;
  #comparedAt = performance.now();
  #comparing = false;

  constructor(options: CanaryOptions) {
    this.#options = options;
    this.#follower = new LogFollower({
      room: CANARY_ROOM,
      policy: CANARY_POLICY,
      intervals: options.intervals,
      channels: options.channels,
      log: options.log,
      heldBytes: options.heldBytes,
      heard: (message) => this.#heard(message),
      begins: async (head) => {
        this.#comparedTo = head;
        this.#pairs.restart();
      },
      // They would count as late.
      hearsMissed: false,
      failed: options.failed,
    });
  }

  /** By the sender's name: what this node was to hear, and what it heard. */
  pairs(): Iterable<readonly [string, Readonly<Pair>]> {
    return this.#pairs.entries();
  }

  /** Most of what it was to hear does not reach this node in time. */
  get failing(): boolean {
    return this.#pairs.failing;
  }

  /** Since the last comparison with the log, in milliseconds. */
  get comparedMsAgo(): number {
    return performance.now() - this.#comparedAt;
  }

  /** Resolves once this node hears, however long that takes; from then on it sends. */
  async begin(): Promise<void> {
    await this.#follower.begin();
    const { intervals, everyMs } = this.#options;
    this.#stops.push(
      intervals.every(everyMs, () => this.#send()),
      intervals.every(COMPARE_MS, () => this.#compare()),
    );
  }

  /** Something may have been published that was not heard: compares with the log soon. */
  suspect(): void {
    this.#follower.suspect();
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#follower.close();
  }

  #send(): void {
    const { node, counts } = this.#options;
    const id = randomUUID();
    this.#sent.set(id, Date.now());
    this.#follower.append("canary", null, node, id).then(
      () => counts.canarySent(),
      () => {
        counts.canaryFailed();
        this.#sent.delete(id);
      },
    );
  }

  #heard({ seq, ts, id, from }: Message): void {
    const sentAt = from.id === this.#options.node ? this.#sent.get(id) : undefined;
    if (sentAt !== undefined) {
      this.#sent.delete(id);
      this.#clock.sample(sentAt, ts, Date.now());
    }
    const lagMs = Math.max(0, this.#clock.now - ts);
    this.#pairs.heard(seq, lagMs);
    this.#options.counts.canaryHeard(lagMs / 1_000);
  }

  #compare(): void {
    if (this.#comparing) return;
    this.#comparing = true;
    this.#compareAll()
      .catch((error: unknown) => {
        if (!(error instanceof RoomcastError)) this.#options.failed(error);
      })
      .finally(() => {
        this.#comparing = false;
      });
  }

  /** Everything in the log for which the deadline is over; what is younger has its turn later. */
  async #compareAll(): Promise<void> {
    const stored: Stored[] = [];
    const until = this.#clock.now - DEADLINE_MS;
    let from = this.#comparedTo;
    for (let more = true; more && from !== undefined; ) {
      const { epoch, seq }: Position = from;
      const page = await this.#options.log.readAfter(CANARY_ROOM, seq, PAGE, CANARY_POLICY.retention);
      // Another epoch: the following begins anew, and says from where.
      if (page.head.epoch !== epoch || this.#comparedTo?.epoch !== epoch) return;
      const due = page.entries.filter(({ ts }) => ts <= until);
      stored.push(...due.map(storedOf));
      const last = due.at(-1);
      if (last !== undefined) from = { epoch, seq: last.seq, ts: last.ts };
      more = page.more && due.length === page.entries.length;
    }
    this.#pairs.compare(stored, this.#clock.now);
    this.#comparedTo = from;
    this.#comparedAt = performance.now();
  }
}

function storedOf({ seq, ts, body }: Entry): Stored {
  const { from } = JSON.parse(body.toString()) as Message;
  return { from: from.id, seq, ts };
}
