import type { Redis } from "ioredis";
import type { Intervals } from "../intervals.ts";
import { infoFields } from "./info.ts";

/** How often Redis is asked, in milliseconds: about as often as Prometheus looks. */
const ASK_EVERY_MS = 10_000;

/** How much memory Redis uses, and may use. */
export interface RedisMemory {
  readonly usedBytes: number;
  /** Undefined where `maxmemory` is 0: there is no limit. */
  readonly limitBytes: number | undefined;
}

/** Knows how much memory Redis uses: full, it refuses every write (`noeviction`), and nobody can send any more. */
export class MemoryGauge {
  readonly #redis: Redis;
  readonly #stop: () => void;
  #latest: RedisMemory | undefined;

  constructor(redis: Redis, intervals: Intervals) {
    this.#redis = redis;
    this.#stop = intervals.every(ASK_EVERY_MS, () => this.ask());
  }

  /** The last answer; undefined before the first, and while Redis does not answer. */
  get latest(): RedisMemory | undefined {
    return this.#latest;
  }

  /** Asks now. */
  ask(): void {
    const answered = (latest: RedisMemory | undefined) => {
      this.#latest = latest;
    };
    this.#redis.info("memory").then(
      (info) => answered(memoryOf(info)),
      () => answered(undefined),
    );
  }

  stop(): void {
    this.#stop();
  }
}

/** What `INFO memory` says; undefined where it says nothing of it. */
export function memoryOf(info: string): RedisMemory | undefined {
  const fields = infoFields(info);
  const usedBytes = Number.parseInt(fields.get("used_memory") ?? "", 10);
  const limitBytes = Number.parseInt(fields.get("maxmemory") ?? "", 10);
  if (Number.isNaN(usedBytes)) return undefined;
  return { usedBytes, limitBytes: limitBytes > 0 ? limitBytes : undefined };
}
