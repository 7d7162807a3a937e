import type { Entry, RoomLog } from "../../src/log/room-log.ts";
import type { Bans } from "../../src/moderation/bans.ts";
import type { Presence, PresenceChange } from "../../src/presence/presence.ts";
import type { RoomDirectory } from "../../src/presence/room-directory.ts";

/** What was heard on one room's channel so far, in its order. */
export interface Ear {
  readonly entries: Entry[];
  readonly changes: PresenceChange[];
}

export interface World {
  readonly log: RoomLog;
  readonly presence: Presence;
  readonly bans: Bans;
  readonly directory: RoomDirectory;
  /** Listens to a room's channel from now on. */
  hear(room: string): Promise<Ear>;
}

/** Makes a log and a presence that nobody else uses; they go with the test. */
export type WorldFactory = (options?: { dedupeMs?: number }) => Promise<World>;
