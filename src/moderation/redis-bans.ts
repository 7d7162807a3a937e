import type { Redis } from "ioredis";
import { RoomcastError } from "../errors.ts";
import { storeFailure } from "../redis/failure.ts";
import type { Keys } from "../redis/keys.ts";
import { readList, readText } from "../redis/reply.ts";
import { readScript, ScriptRunner } from "../redis/script.ts";
import { type Bans, type Ends, MOST_BANS } from "./bans.ts";

const BAN = readScript(new URL("./scripts/ban.lua", import.meta.url));
const BANNED = readScript(new URL("./scripts/banned.lua", import.meta.url));

/** Blocked users that one step of reading all of them looks at. */
const SCAN_SLICE = 1_000;

export interface RedisBansOptions {
  readonly commands: Redis;
  readonly reads: Redis;
  readonly keys: Keys;
}

/** Bans in Redis: a sorted set a room, and one for blocks, of users by the end of their ban. */
export class RedisBans implements Bans {
  readonly #redis: Redis;
  readonly #commands: ScriptRunner;
  readonly #reads: ScriptRunner;
  readonly #keys: Keys;

  constructor({ commands, reads, keys }: RedisBansOptions) {
    this.#redis = commands;
    this.#commands = new ScriptRunner(commands, [BAN]);
    this.#reads = new ScriptRunner(reads, [BANNED]);
    this.#keys = keys;
  }

  async ban(room: string, user: string, seconds: number): Promise<number> {
    return await this.#keepOut(this.#keys.bans(room), user, seconds);
  }

  async unban(room: string, user: string): Promise<boolean> {
    return await this.#letIn(this.#keys.bans(room), user);
  }

  async bannedFrom(room: string, users: readonly string[]): Promise<Ends> {
    const reply = readList(await this.#reads.read(BANNED, [this.#keys.bans(room)], users));
    const ends = users.map((user, index): [string, string] => [user, readText(reply[index])]);
    return new Map(ends.filter(([, end]) => end !== "").map(([user, end]) => [user, Number(end)]));
  }

  async block(user: string, seconds: number): Promise<number> {
    return await this.#keepOut(this.#keys.blocks(), user, seconds);
  }

  async unblock(user: string): Promise<boolean> {
    return await this.#letIn(this.#keys.blocks(), user);
  }

  async blocked(): Promise<Ends> {
    const ends = new Map<string, number>();
    let cursor = "0";
    do {
      const [next, found] = await this.#redis.zscan(this.#keys.blocks(), cursor, "COUNT", SCAN_SLICE).catch(rethrow);
      for (let index = 0; index < found.length; index += 2) ends.set(found[index] ?? "", Number(found[index + 1]));
      cursor = next;
    } while (cursor !== "0");
    return ends;
  }

  async #keepOut(key: string, user: string, seconds: number): Promise<number> {
    const end = readText(await this.#commands.run(BAN, [key], [user, seconds * 1_000, MOST_BANS]));
    if (end === "") throw new RoomcastError("rate_limited", `${MOST_BANS} users are banned already: lift some first`);
    return Number(end);
  }

  async #letIn(key: string, user: string): Promise<boolean> {
    return (await this.#redis.zrem(key, user).catch(rethrow)) === 1;
  }
}

function rethrow(error: unknown): never {
  throw storeFailure(error);
}
