import type { Position } from "../log/room-log.ts";
import type { Frame } from "./frame.ts";

/** The shortest way to a connection, for the bytes of whole frames. */
export interface Line {
  /** Whether nothing is waiting that the next frame would overtake: to be looked at before each write. */
  readonly isClear: boolean;
  /** Only while it is clear. False where the connection owes something now: `keepsUp` tells whether that is too much. */
  write(bytes: Buffer): boolean;
}

/** One connection's way out, shared by its readers. */
export interface Outlet {
  /** The connection's id. */
  readonly connection: string;
  /**
   * What takes frames in the same order as `write`, without its work for each; the same one for as long as it is ever
   * clear. Undefined where there is none, for now.
   */
  readonly line: Line | undefined;
  /** What `write` would have answered, after a write by the line: where it owes too much, no more is read from it for now. */
  keepsUp(): boolean;
  /** Queues a frame; order is kept. False once the connection owes more than its bound: stop, and await `drained`. */
  write(frame: Frame): boolean;
  /** As `write`, for what may be lost: false, and nothing is written, where the connection owes more than its bound. */
  offer(frame: Frame): boolean;
  /** Resolves once the connection owes little again, or is gone. */
  drained(): Promise<void>;
}

/**
 * A reader's place in its feed.
 * - `ahead`: the join's fence lies beyond what the feed has passed on; live as soon as the feed gets there;
 * - `live`: gets what the feed passes on, in the same turn;
 * - `behind`: reads the log by itself, then goes live;
 * - `ended`: gets no messages; as a member it still hears of presence.
 */
export type ReaderState = "ahead" | "live" | "behind" | "ended";

/** One connection's place in one feed. Only its feed changes it. */
export class Reader {
  readonly outlet: Outlet;
  state: ReaderState = "behind";
  /** The last message that this connection was given; kept up only while the reader is not live. */
  position: Position;
  /** The version of presence that the join's ack told: older changes are no news. */
  version: number;
  /** Which of the feed's cohorts of live readers it is in; only theirs. */
  cohort: number | undefined;
  /** News of presence was not written because the connection owed too much; it is told where things stand later. */
  missesNews = false;

  constructor(outlet: Outlet, position: Position, version: number) {
    this.outlet = outlet;
    this.position = position;
    this.version = version;
  }
}
