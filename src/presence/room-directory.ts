import type { Position } from "../log/room-log.ts";

/** A room and who is in it now. */
export interface RoomState {
  readonly room: string;
  /** Distinct users. */
  readonly members: number;
  readonly connections: number;
  readonly position: Position;
}

/** Occupied rooms, each once over all pages, in no order that means anything. */
export interface RoomPage {
  readonly rooms: readonly RoomState[];
  /** Where the next page begins; undefined at the end. */
  readonly cursor: string | undefined;
  /** What could not be read, in words; empty where the page is complete. */
  readonly missing: readonly string[];
}

/**
 * Which rooms are occupied, over all nodes. It is kept beside the rooms and may lag behind them; each list looks the rooms
 * themselves up. A node adds a room once its first member there is in, and has it reviewed after its last one has left.
 * A review takes the room out and then looks again, so that a join beside it is seen by the one or the other. What a node
 * that died left behind is reviewed by whoever clears up after it; what was lost, each node adds again from time to time.
 * Calls reject with `unavailable`.
 */
export interface RoomDirectory {
  add(rooms: readonly string[]): Promise<void>;
  /** Takes out those that nobody is in. */
  review(rooms: readonly string[]): Promise<void>;
  /** Rejects with `bad_request` for a cursor that is none of ours. */
  list(type: string | undefined, cursor: string | undefined, limit: number): Promise<RoomPage>;
  /** Undefined where nobody ever used the room. */
  look(room: string): Promise<RoomState | undefined>;
}
