import type { Redis } from "ioredis";
import { storeFailure } from "./failure.ts";
import { infoFields } from "./info.ts";

/** Sharded pub/sub came with it. */
const OLDEST_MAJOR = 7;

/** Throws one sentence where the server is older than Redis 7 and no Valkey; `unavailable` where it cannot be asked. */
export async function requireServerVersion(redis: Redis): Promise<void> {
  let info: string;
  try {
    info = await redis.info("server");
  } catch (error) {
    throw storeFailure(error);
  }
  const problem = versionProblem(info);
  if (problem !== undefined) throw new Error(problem);
}

/** What is wrong with a server, from its `INFO server`, or nothing. */
export function versionProblem(info: string): string | undefined {
  const fields = infoFields(info);
  if (fields.has("valkey_version")) return undefined;
  const version = fields.get("redis_version");
  const major = Number.parseInt(version ?? "", 10);
  if (major >= OLDEST_MAJOR) return undefined;
  const found = version === undefined ? "a server of unknown version" : `Redis ${version}`;
  return `Roomcast needs Redis ${OLDEST_MAJOR} or newer, or Valkey, and found ${found}.`;
}
