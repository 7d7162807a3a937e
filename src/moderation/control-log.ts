import type { FeedPolicy } from "../feed/feed.ts";
import { LogFollower } from "../feed/log-follower.ts";
import type { RoomChannels } from "../feed/room-channels.ts";
import type { Intervals } from "../intervals.ts";
import type { RoomLog } from "../log/room-log.ts";
import { type Order, readOrder } from "./order.ts";

/** The service's own room: no client can name it. */
const CONTROL_ROOM = "_control";
/** A node that was away for longer, or missed more, looks everything up anew. */
const CONTROL_POLICY: FeedPolicy = {
  retention: { maxMessages: 10_000, maxBytes: 4 * 1024 * 1024, maxAgeMs: 24 * 60 * 60 * 1_000 },
  presence: { upToMembers: 0, againBelowMembers: 0 },
};

export interface ControlLogOptions {
  readonly intervals: Intervals;
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
export class ControlLog {
  readonly #follower: LogFollower;

  constructor({ intervals, channels, log, heldBytes, apply, review, failed }: ControlLogOptions) {
    this.#follower = new LogFollower({
      room: CONTROL_ROOM,
      policy: CONTROL_POLICY,
      intervals,
      channels,
      log,
      heldBytes,
      heard: ({ data }) => {
        const order = readOrder(data);
        if (order !== undefined) apply(order);
      },
      // Bans and blocks that came before are in what it finds; who was only put out, the order itself has to say.
      begins: () => review(),
      hearsMissed: true,
      failed,
    });
  }

  /** Resolves once this node knows who is kept out and hears every order, however long that takes. */
  async begin(): Promise<void> {
    await this.#follower.begin();
  }

  /** Stored: every node that hears Redis applies it now, and the others once they hear it again. */
  async issue(order: Order): Promise<void> {
    await this.#follower.append("order", order);
  }

  /** Something may have been published that was not heard: compares with the log soon. */
  suspect(): void {
    this.#follower.suspect();
  }

  close(): void {
    this.#follower.close();
  }
}
