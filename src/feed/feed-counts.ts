import type { ServerEvents } from "../protocol.ts";

export type ResyncReason = ServerEvents["resync"]["reason"];

/** What one room counts while its feed is open. Called on the hot path: these only add up. */
export interface RoomCount {
  /** A message or signal was passed on to the members on this node. */
  emitted(): void;
  /** So many connections of this node hear of the room now. */
  has(connections: number): void;
  /** The room's log holds so many messages in so many bytes, as of a comparison with it. */
  logHolds(messages: number, bytes: number): void;
  /** A message of so many bytes was added since. */
  logGrew(bytes: number): void;
  /** The feed is closed; nothing more is counted. */
  closed(): void;
}

/** What feeds count. Called on the hot path: these only add up. */
export interface FeedCounts {
  /** A feed of this room opens. */
  roomOpened(room: string): RoomCount;
  /**
   * One write to each of so many live readers: so many messages in so many bytes, the last of which the store got at `ts`
   * (Unix milliseconds, by its clock).
   */
  written(messages: number, readers: number, bytes: number, ts: number): void;
  /** One message of so many bytes was written to a reader that catches up. */
  caughtUp(bytes: number): void;
  gapFound(): void;
  gapRepaired(): void;
  resync(reason: ResyncReason): void;
  slowReader(): void;
}

const nothing = () => undefined;
const NO_ROOM: RoomCount = { emitted: nothing, has: nothing, logHolds: nothing, logGrew: nothing, closed: nothing };

/** For feeds that are not those of clients' rooms. */
export const NOT_COUNTED: FeedCounts = {
  roomOpened: () => NO_ROOM,
  written: nothing,
  caughtUp: nothing,
  gapFound: nothing,
  gapRepaired: nothing,
  resync: nothing,
  slowReader: nothing,
};
