import { RoomcastError } from "../errors.ts";
import { type Bans, type Ends, MOST_BANS } from "./bans.ts";

/** The bans of a node without Redis: the same rules, and gone with the process. */
export class MemoryBans implements Bans {
  readonly #rooms = new Map<string, Map<string, number>>();
  readonly #blocks = new Map<string, number>();

  async ban(room: string, user: string, seconds: number): Promise<number> {
    const bans = this.#rooms.get(room) ?? new Map<string, number>();
    this.#rooms.set(room, bans);
    return keepOut(bans, user, seconds);
  }

  async unban(room: string, user: string): Promise<boolean> {
    return this.#rooms.get(room)?.delete(user) ?? false;
  }

  async bannedFrom(room: string, users: readonly string[]): Promise<Ends> {
    const ends = users.map((user): [string, number] => [user, this.endOf(room, user) ?? 0]);
    return new Map(ends.filter(([, end]) => end > 0));
  }

  async block(user: string, seconds: number): Promise<number> {
    return keepOut(this.#blocks, user, seconds);
  }

  async unblock(user: string): Promise<boolean> {
    return this.#blocks.delete(user);
  }

  async blocked(): Promise<Ends> {
    return new Map(this.#blocks);
  }

  /** The end of a ban that holds now, for the step that lets somebody in. */
  endOf(room: string, user: string): number | undefined {
    const end = this.#rooms.get(room)?.get(user);
    return end !== undefined && end > Date.now() ? end : undefined;
  }
}

function keepOut(bans: Map<string, number>, user: string, seconds: number): number {
  const now = Date.now();
  for (const [other, end] of bans) if (end <= now) bans.delete(other);
  if (bans.size >= MOST_BANS && !bans.has(user)) {
    throw new RoomcastError("rate_limited", `${MOST_BANS} users are banned already: lift some first`);
  }
  const end = now + seconds * 1_000;
  bans.set(user, end);
  return end;
}
