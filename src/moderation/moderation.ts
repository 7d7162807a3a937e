import { bannedUntil, RoomcastError } from "../errors.ts";
import type { RoomLog } from "../log/room-log.ts";
import type { GraceOf } from "../presence/presence.ts";
import type { Bans } from "./bans.ts";
import type { ControlLog } from "./control-log.ts";

export interface ModerationOptions {
  readonly bans: Bans;
  readonly control: ControlLog;
  readonly log: RoomLog;
  /**
   * Takes out who is in the grace of a node that has stopped: it hears no orders any more. Rejects with `unavailable`; may
   * be repeated.
   */
  endStoppedGrace(of: GraceOf): Promise<void>;
}

/**
 * Who is put out and kept out, for clients with the permission `moderate` and for the application's servers. Whoever calls
 * has checked that they may. What resolved is stored: every node that hears Redis carries it out within a second, and one
 * that does not within five of hearing it again. All reject with `unavailable` when the outcome is unknown, and may be
 * repeated.
 */
export class Moderation {
  readonly #bans: Bans;
  readonly #control: ControlLog;
  readonly #log: RoomLog;
  readonly #endStoppedGrace: (of: GraceOf) => Promise<void>;

  constructor({ bans, control, log, endStoppedGrace }: ModerationOptions) {
    this.#bans = bans;
    this.#control = control;
    this.#log = log;
    this.#endStoppedGrace = endStoppedGrace;
  }

  /** Puts a user out of a room, and with `banSeconds` keeps them out; returns the end of the ban in Unix milliseconds. */
  async kick(room: string, user: string, banSeconds: number | undefined): Promise<number | undefined> {
    // Stored before the order is given: who is put out and joins again at once is refused already.
    const until = banSeconds === undefined ? undefined : await this.#bans.ban(room, user, banSeconds);
    // A node that stops after this hears it, and one that stopped before is found below.
    await this.#control.issue({ kind: "remove", room, user, until });
    await this.#endStoppedGrace({ room, user });
    return until;
  }

  /** Rejects with `not_found` where the user is not banned from the room. */
  async unban(room: string, user: string): Promise<void> {
    if (!(await this.#bans.unban(room, user)))
      throw new RoomcastError("not_found", `${user} is not banned from ${room}`);
  }

  /** Puts everybody out of a room and removes its messages; it can be joined again, in a new epoch. */
  async close(room: string): Promise<void> {
    // In this order: whoever comes back in between is told by `resync` that the messages are gone.
    await this.#control.issue({ kind: "close", room });
    await this.#endStoppedGrace({ room });
    await this.#log.purge(room);
  }

  /** Ends all connections of a user, and with `blockSeconds` keeps them out everywhere; returns the end as `kick` does. */
  async disconnect(user: string, blockSeconds: number | undefined): Promise<number | undefined> {
    const until = blockSeconds === undefined ? undefined : await this.#bans.block(user, blockSeconds);
    await this.#control.issue({ kind: "disconnect", user, until });
    await this.#endStoppedGrace({ user });
    return until;
  }

  /** Rejects with `not_found` where the user is not blocked. */
  async unblock(user: string): Promise<void> {
    const wasBlocked = await this.#bans.unblock(user);
    // Also where it is not there any more: some node may know of it still.
    await this.#control.issue({ kind: "unblock", user });
    if (!wasBlocked) throw new RoomcastError("not_found", `${user} is not blocked`);
  }

  /** Rejects with `banned` where the user is banned from the room now. */
  async requireNotBanned(room: string, user: string): Promise<void> {
    const until = (await this.#bans.bannedFrom(room, [user])).get(user);
    if (until !== undefined) throw bannedUntil(until);
  }
}
