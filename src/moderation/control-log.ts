import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { RoomcastError } from "../errors.ts";
import type { Feed, FeedPolicy } from "../feed/feed.ts";
import { NOT_COUNTED } from "../feed/feed-counts.ts";
import { Feeds } from "../feed/feeds.ts";
import type { Frame } from "../feed/frame.ts";
import type { Outlet } from "../feed/reader.ts";
import type { RoomChannels } from "../feed/room-channels.ts";
import type { Position, RoomLog } from "../log/room-log.ts";
import { BOUNDS, type Message } from "../protocol.ts";
import { type Order, readOrder } from "./order.ts";

/** The service's own room: no client can name it. */
export const CONTROL_ROOM = "_control";
/** A node that was away for longer, or missed more, looks everything up anew. */
export const CONTROL_POLICY: FeedPolicy = {
  retention: { maxMessages: 10_000, maxBytes: 4 * 1024 * 1024, maxAgeMs: 24 * 60 * 60 * 1_000 },
  presence: { upToMembers: 0, againBelowMembers: 0 },
};
const NOWHERE: Position = { epoch: "", seq: 0, ts: 0 };
/** Before trying again what Redis refused, in milliseconds. */
const RETRY_MS = 250;

export interface ControlLogOptions {
  readonly channels: RoomChannels;
  readonly log: RoomLog;
  /** Most bytes of orders that are kept while something is caught up. */
  readonly heldBytes: number;
  /** Carries an order out on this node. Called in the log's order. */
  apply(order: Order): void;
  /** Orders may have been missed for good: looks up who is kept out. Rejects with `unavailable`; may be repeated. */
  review(): Promise<void>;
  failed(error: unknown): void;
}

/**
 * Orders to all nodes, in a room's log of their own: each node applies each of them once and in one order, and what it
 * did not hear while Redis or its subscription was away it reads as soon as it hears again.
 */
export class ControlLog implements Outlet {
  /** Of no client. */
  readonly connection = "";
  readonly #options: ControlLogOptions;
  /** Apart from those of clients' rooms: nobody counts these. */
  readonly #feeds: Feeds;
  #feed: Feed | undefined;
  #closed = false;

  constructor(options: ControlLogOptions) {
    this.#options = options;
    this.#feeds = new Feeds({
      channels: options.channels,
      log: options.log,
      limits: { heldBytes: options.heldBytes, lingerMs: 0 },
      counts: NOT_COUNTED,
      policyOf: () => CONTROL_POLICY,
      failed: (_room, error) => options.failed(error),
      lost: () => Promise.resolve(),
    });
  }

  /** Resolves once this node knows who is kept out and hears every order, however long that takes. */
  async begin(): Promise<void> {
    await this.#untilDone(async () => {
      this.#feed ??= await this.#feeds.hold(CONTROL_ROOM);
    });
    await this.#follow();
  }

  /** Stored: every node that hears Redis applies it now, and the others once they hear it again. */
  async issue(order: Order): Promise<void> {
    const id = randomUUID();
    const from = { id: BOUNDS.serverUser };
    const payload = JSON.stringify({ room: CONTROL_ROOM, id, from, event: "order", data: order });
    await this.#options.log.append(CONTROL_ROOM, {
      space: "k",
      sender: from.id,
      id,
      rest: payload.slice(1),
      known: this.#feed?.known,
      retention: CONTROL_POLICY.retention,
    });
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
      if (event === "message") {
        const order = readOrder((payload as Message).data);
        if (order !== undefined) this.#options.apply(order);
      } else if (event === "resync") {
        this.#follow().catch((error: unknown) => this.#options.failed(error));
      }
    }
    return true;
  }

  offer(frame: Frame): boolean {
    return this.write(frame);
  }

  drained(): Promise<void> {
    return Promise.resolve();
  }

  /** From the log's end on: whatever came before is in what `review` finds. */
  async #follow(): Promise<void> {
    const feed = this.#feed;
    if (feed === undefined) return;
    feed.expectJoin();
    try {
      await this.#untilDone(async () => {
        const asked = { room: CONTROL_ROOM, position: NOWHERE, retention: CONTROL_POLICY.retention };
        const [head] = await this.#options.log.check([asked]);
        if (head === undefined) return;
        await this.#options.review();
        feed.start(head, 0);
        feed.attach(this, { epoch: head.epoch, seq: head.seq, ts: head.ts }, 0);
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
        await delay(RETRY_MS, undefined, { ref: false });
      }
    }
  }
}
