import { MissingRight, RoomcastError } from "../errors.ts";

/** Replies of a Redis that is there, but cannot serve now. */
const REFUSALS =
  /^(READONLY|LOADING|OOM|MISCONF|CLUSTERDOWN|MASTERDOWN|NOREPLICAS|TRYAGAIN|BUSY|NOSCRIPT|NOMASTERLINK|UNKILLABLE)\b/;
/** What ioredis rejects commands with that have no connection, or lost it before the answer. */
const LOST =
  /^(Connection is closed|Stream isn't writeable|Command timed out|Command aborted due to connection close|Socket timeout|Reached the max retries per request|connect ETIMEDOUT|Redis is not ready)/;
/** Of a command by itself; of one in a script of Redis 7.0; of one in a script since 7.2. */
const NO_RIGHT = /^(NOPERM|NOAUTH)\b|^ERR The user executing the script can't\b|^ERR ACL failure in script\b/;
const SYSTEM_ERRORS = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ERR_STREAM_DESTROYED",
]);

/**
 * What to throw for an error of a Redis command: `unavailable` where Redis is away or refuses for now, so that the
 * outcome is unknown; `MissingRight` where our user lacks a right; anything else as it is, which makes it `internal`.
 */
export function storeFailure(error: unknown): Error {
  if (!(error instanceof Error)) return new Error("a Redis command failed", { cause: error });
  // ioredis hangs the command's arguments on the error: messages of users have no place in our log.
  if ("command" in error) Reflect.deleteProperty(error, "command");
  if (error instanceof RoomcastError) return error;
  if (NO_RIGHT.test(error.message)) return new MissingRight(error.message);
  return isAway(error) ? new RoomcastError("unavailable", undefined, { cause: error }) : error;
}

function isAway(error: Error): boolean {
  if (REFUSALS.test(error.message) || LOST.test(error.message) || error.name === "MaxRetriesPerRequestError")
    return true;
  return "code" in error && typeof error.code === "string" && SYSTEM_ERRORS.has(error.code);
}
