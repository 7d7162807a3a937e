import { readFileSync } from "node:fs";
import { installedRedis, type RedisBinary, type Say, unpackedRedis } from "./redis-binary.ts";
import { startRedisContainer } from "./redis-container.ts";
import { startRedisProcess } from "./redis-process.ts";

/** A Redis to work with. */
export interface LocalRedis {
  readonly url: string;
  /** For people: what it is. */
  readonly label: string;
  readonly inContainer: boolean;
  /** Ends it if it was started here; does nothing to one that was there before. */
  stop(): Promise<void>;
}

async function started(binary: RedisBinary | undefined, say: Say): Promise<LocalRedis | undefined> {
  if (binary === undefined) return undefined;
  try {
    return { ...(await startRedisProcess(binary)), label: binary.label, inContainer: false };
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

async function startedContainer(say: Say): Promise<LocalRedis | undefined> {
  const container = await startRedisContainer(say);
  return container && { ...container, inContainer: true };
}

/** Of a file that names a server; rejected with its name where it cannot be read. */
function textOf(file: string | undefined): string | undefined {
  return file ? readFileSync(file, "utf8").trim() : undefined;
}

/**
 * Finds a Redis, in this order: `REDIS_URL` or its file; a server program on the PATH, started privately; a container, where a Docker
 * engine answers; Debian's packages, unpacked into a cache folder. Nothing where none of these can be had, or is wanted (`memory:`).
 */
export async function findRedis(say: Say): Promise<LocalRedis | undefined> {
  const url = process.env.REDIS_URL || textOf(process.env.REDIS_URL_FILE);
  if (url === "memory:") return undefined;
  if (url) return { url, label: "the Redis of REDIS_URL", inContainer: false, stop: async () => undefined };
  return (
    (await started(await installedRedis(say), say)) ??
    (await startedContainer(say)) ??
    (await started(await unpackedRedis(say), say))
  );
}
