/** The Redis that test/support/provision.ts found for this run; nothing where there is none. */
export const REDIS_URL = process.env.TEST_REDIS_URL;
/** Why there is none. */
export const NO_REDIS = process.env.TEST_NO_REDIS ?? "no Redis was provided";

/** The Redis of this run, for tests inside `describeWithRedis`. */
export function redisUrl(): string {
  if (REDIS_URL === undefined) throw new Error(NO_REDIS);
  return REDIS_URL;
}
