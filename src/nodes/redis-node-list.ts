import type { Redis } from "ioredis";
import { storeFailure } from "../redis/failure.ts";
import type { Keys } from "../redis/keys.ts";
import type { LiveNode, NodeList, NodeLoad, NodePage } from "./node-list.ts";

/** Stands in the place of what a node told that stops. */
const RETIRED = "";

export interface RedisNodeListOptions {
  readonly commands: Redis;
  readonly reads: Redis;
  readonly keys: Keys;
}

/** What nodes tell of themselves with their leases, which say who of them lives. Calls reject with `unavailable`. */
export class RedisNodeList implements NodeList {
  readonly #commands: Redis;
  readonly #reads: Redis;
  readonly #keys: Keys;

  constructor({ commands, reads, keys }: RedisNodeListOptions) {
    this.#commands = commands;
    this.#reads = reads;
    this.#keys = keys;
  }

  /** The node stops: it is in no list, though its lease goes on while its members may come back elsewhere. */
  async retire(incarnation: string): Promise<void> {
    await this.#commands.hset(this.#keys.nodes(), incarnation, RETIRED).catch(rethrow);
  }

  /** Nothing is known of the node any more. May be repeated. */
  async forget(incarnation: string): Promise<void> {
    await this.#commands.hdel(this.#keys.nodes(), incarnation).catch(rethrow);
  }

  async list(): Promise<NodePage> {
    try {
      const [seconds] = await this.#reads.time();
      const ids = await this.#reads.zrangebyscore(this.#keys.leases(), Number(seconds) * 1_000, "+inf");
      if (ids.length === 0) return { nodes: [], missing: [] };
      const loads = await this.#reads.hmget(this.#keys.nodes(), ...ids);
      const missing = ids.filter((_, index) => loads[index] === null).map((id) => `how node ${id} is`);
      const nodes = ids.flatMap((id, index): LiveNode[] => {
        const load = loads[index] ?? RETIRED;
        return load !== RETIRED ? [{ id, ...(JSON.parse(load) as NodeLoad) }] : [];
      });
      return { nodes, missing };
    } catch (error) {
      throw storeFailure(error);
    }
  }
}

function rethrow(error: unknown): never {
  throw storeFailure(error);
}
