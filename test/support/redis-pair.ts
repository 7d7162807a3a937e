import { Redis } from "ioredis";
import { freePort } from "../../src/local/ports.ts";
import { type PrivateRedis, startRedis } from "./private-redis.ts";

/** Every key with its value and its life: in one step, so that it is what Redis held at one moment. */
const DUMP_ALL = `
local all = {}
for _, key in ipairs(redis.call("KEYS", "*")) do
  all[#all + 1] = key
  all[#all + 1] = redis.call("DUMP", key)
  all[#all + 1] = tostring(math.max(0, redis.call("PTTL", key)))
end
return all`;

/** Two servers, one of which is Redis and the other takes its place: what was written since that fell behind is lost. */
export class RedisPair {
  #primary: PrivateRedis;
  #replica: PrivateRedis;

  private constructor(primary: PrivateRedis, replica: PrivateRedis) {
    this.#primary = primary;
    this.#replica = replica;
  }

  static async start(): Promise<RedisPair> {
    const [primary, replica] = await Promise.all([startRedis({ aof: true }), startRedis({ aof: true })]);
    return new RedisPair(primary, replica);
  }

  get primary(): PrivateRedis {
    return this.#primary;
  }

  /** The replica has everything up to this moment, and hears of nothing that is written from now on. */
  async fallBehind(): Promise<void> {
    await using from = connection(this.#primary);
    await using to = connection(this.#replica);
    const all = (await from.redis.callBuffer("EVAL", DUMP_ALL, 0)) as Buffer[];
    await to.redis.flushall();
    for (let index = 0; index < all.length; index += 3) {
      const [key = "", value = "", life = ""] = all.slice(index, index + 3);
      await to.redis.restore(key, life.toString(), value);
    }
  }

  /** The primary is killed, and the replica is the primary; it has no other one until `refill`. */
  async failOver(): Promise<void> {
    await this.#primary.kill();
    [this.#primary, this.#replica] = [this.#replica, this.#primary];
  }

  /** The primary goes on as the replica of a server that is not there, and keeps its connections; the other one is the primary. */
  async demote(): Promise<void> {
    await using was = connection(this.#primary);
    await was.redis.replicaof("127.0.0.1", await freePort());
    [this.#primary, this.#replica] = [this.#replica, this.#primary];
  }

  /** After `failOver`: the one that was killed is there again, empty. */
  async refill(): Promise<void> {
    await this.#replica.forget();
    await this.#replica.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#primary.stop(), this.#replica.stop()]);
  }
}

function connection({ url }: PrivateRedis) {
  const redis = new Redis(url);
  return {
    redis,
    [Symbol.asyncDispose]: async () => {
      redis.disconnect();
    },
  };
}
