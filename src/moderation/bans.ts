/** A user who is kept out, and until when (Unix milliseconds, by the store's clock). */
export type Ends = ReadonlyMap<string, number>;

/** Most users who are banned from one room, or blocked, at a time. */
export const MOST_BANS = 10_000;

/**
 * Who is kept out for a time: banned from one room, or blocked everywhere. Bans of a room are looked up by the step that
 * lets somebody in (`Presence.join`), so that no join slips past one that is stored. Calls reject with `unavailable` when
 * the outcome is unknown; all may be repeated.
 */
export interface Bans {
  /**
   * Keeps a user out of a room from now on; a newer ban takes the place of an older one. Returns its end.
   * Rejects with `rate_limited` where 10,000 users are banned from this room.
   */
  ban(room: string, user: string, seconds: number): Promise<number>;

  /** False where there was no ban to lift. */
  unban(room: string, user: string): Promise<boolean>;

  /** Those of these users who are banned from the room now. */
  bannedFrom(room: string, users: readonly string[]): Promise<Ends>;

  /** As `ban`, for all rooms and for connecting. */
  block(user: string, seconds: number): Promise<number>;

  /** False where there was no block to lift. */
  unblock(user: string): Promise<boolean>;

  /** Everybody who is blocked now. Whoever is blocked or unblocked meanwhile may be in it or not. */
  blocked(): Promise<Ends>;
}
