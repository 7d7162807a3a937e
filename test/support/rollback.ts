import type { Redis } from "ioredis";
import { keysWith } from "./raw-redis.ts";

/** Keeps everything of a cluster that Redis holds now; `restore` puts it back in one step, whatever came since is gone. */
export async function keepState(redis: Redis, prefix: string): Promise<{ restore(): Promise<void> }> {
  const kept: { key: string; ttlMs: number; value: Buffer }[] = [];
  for (const key of await keysWith(redis, prefix)) {
    const value = await redis.dumpBuffer(key);
    const ttlMs = await redis.pttl(key);
    if (value !== null) kept.push({ key, ttlMs: Math.max(0, ttlMs), value });
  }
  return {
    restore: async () => {
      const now = await keysWith(redis, prefix);
      const step = redis.multi();
      if (now.length > 0) step.del(...now);
      for (const { key, ttlMs, value } of kept) step.restore(key, ttlMs, value);
      for (const [error] of (await step.exec()) ?? []) if (error !== null) throw error;
    },
  };
}
