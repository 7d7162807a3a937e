import type { Redis } from "ioredis";
import { storeFailure } from "../redis/failure.ts";
import type { Keys } from "../redis/keys.ts";
import { readText, readWords } from "../redis/reply.ts";
import { readScript, ScriptRunner } from "../redis/script.ts";
import type { LeaseState, Leases, Renewal } from "./leases.ts";
import type { NodeLoad } from "./node-list.ts";
import type { RedisNodeList } from "./redis-node-list.ts";

const RENEW_LEASE = readScript(new URL("./scripts/renew_lease.lua", import.meta.url));
const CLAIM_GONE = readScript(new URL("./scripts/claim_gone.lua", import.meta.url));

/** How long one node may clear up before others try too, in milliseconds. */
const CLEARING_MS = 5_000;
/** How long a paused node can still learn that it was cleared up, in milliseconds. */
const REMEMBERED_MS = 24 * 60 * 60 * 1_000;

/** With the shortest lease these are a minute: a server that lacks more than that is taken to have kept nothing. */
const REMEMBERED_RENEWALS = 200;

/** In the place of a lease's end. */
const NO_LEASE = "0";

/** What a node tells with each renewal; undefined where it has nothing to tell yet. */
export interface Telling {
  readonly nodes: RedisNodeList;
  load(): NodeLoad | undefined;
}

const LEASE_STATES: ReadonlySet<string> = new Set<LeaseState>(["held", "lapsed", "claimed", "lost"]);

export class RedisLeases implements Leases {
  readonly #redis: Redis;
  readonly #scripts: ScriptRunner;
  readonly #leases: string;
  readonly #gone: string;
  readonly #nodes: string;
  readonly #released: string;
  readonly #leaseMs: number;
  readonly #telling: Telling;
  /** The one that answered last. */
  #server: string | undefined;
  /** When the renewals of the last lease and more were asked for, by the ends that they gave it: an end that is there tells when. */
  readonly #askedAt = new Map<string, number>();

  constructor(redis: Redis, keys: Keys, leaseMs: number, telling: Telling) {
    this.#redis = redis;
    this.#scripts = new ScriptRunner(redis, [RENEW_LEASE, CLAIM_GONE]);
    this.#leases = keys.leases();
    this.#gone = keys.gone();
    this.#nodes = keys.nodes();
    this.#released = keys.released();
    this.#leaseMs = leaseMs;
    this.#telling = telling;
  }

  async renew(incarnation: string): Promise<Renewal> {
    const load = this.#telling.load();
    const askedAt = performance.now();
    const reply = await this.#scripts.run(
      RENEW_LEASE,
      [this.#leases, this.#gone, this.#nodes],
      [incarnation, this.#leaseMs, load === undefined ? "" : JSON.stringify(load)],
    );
    const { state, someGone, server, end, before } = readWords(reply, ["state", "someGone", "server", "end", "before"]);
    if (!isLeaseState(state)) throw new Error(`renew_lease.lua answered ${state}`);
    const moved = server !== "" && (this.#server ?? server) !== server;
    if (server !== "") this.#server = server;
    const keptUntil = moved ? (this.#askedAt.get(before) ?? 0) : askedAt;
    if (moved) this.#askedAt.clear();
    if (end !== NO_LEASE) this.#note(end, askedAt);
    return { state, moved, keptUntil, someGone: someGone === "1" };
  }

  #note(end: string, askedAt: number): void {
    // Of two in one millisecond the first: the other one may be lacking.
    if (!this.#askedAt.has(end)) this.#askedAt.set(end, askedAt);
    if (this.#askedAt.size <= REMEMBERED_RENEWALS) return;
    for (const oldest of this.#askedAt.keys()) {
      this.#askedAt.delete(oldest);
      return;
    }
  }

  async claim(incarnation: string): Promise<string | undefined> {
    const values = [CLEARING_MS, REMEMBERED_MS, incarnation];
    return readText(await this.#scripts.run(CLAIM_GONE, [this.#leases, this.#gone], values)) || undefined;
  }

  async cleared(incarnation: string): Promise<void> {
    try {
      await this.#redis.zadd(this.#gone, "XX", -(await this.#now()), incarnation);
    } catch (error) {
      throw storeFailure(error);
    }
    await this.#telling.nodes.forget(incarnation);
  }

  async prolong(incarnation: string): Promise<void> {
    let isThere: number;
    try {
      isThere = Number(
        await this.#redis.zadd(this.#leases, "XX", "CH", (await this.#now()) + this.#leaseMs, incarnation),
      );
    } catch (error) {
      throw storeFailure(error);
    }
    // Of a life that others have cleared up after, nobody would take it away again.
    if (isThere > 0) await this.#telling.nodes.retire(incarnation);
  }

  async release(incarnation: string, afterMs: number): Promise<void> {
    try {
      const now = await this.#now();
      await this.#redis.zremrangebyscore(this.#released, "-inf", now);
      await this.#redis.zadd(this.#leases, "XX", now + afterMs, incarnation);
      await this.#redis.zadd(this.#released, now + afterMs, incarnation);
    } catch (error) {
      throw storeFailure(error);
    }
    await this.#telling.nodes.retire(incarnation);
  }

  /** The lives that were released and have not run out: nobody answers for their members. */
  async released(): Promise<readonly string[]> {
    try {
      return await this.#redis.zrangebyscore(this.#released, await this.#now(), "+inf");
    } catch (error) {
      throw storeFailure(error);
    }
  }

  async #now(): Promise<number> {
    const [seconds, micros] = await this.#redis.time();
    return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  }
}

function isLeaseState(word: string): word is LeaseState {
  return LEASE_STATES.has(word);
}
