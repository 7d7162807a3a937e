import { describe } from "vitest";
import { NO_REDIS, REDIS_URL } from "./run-redis.ts";

/** `describe` for tests that need a Redis: skipped, with the reason in the title, where there is none. */
export function describeWithRedis(title: string, tests: () => void): void {
  if (REDIS_URL === undefined) describe.skip(`${title} (skipped: ${NO_REDIS})`, tests);
  else describe(title, tests);
}
