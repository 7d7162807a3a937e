import { GenericContainer, Wait } from "testcontainers";
import type { TestProject } from "vitest/node";
import { findRedis, type LocalRedis } from "../../src/local/redis.ts";
import { redisImage, serverIn } from "../../src/local/redis-container.ts";
import { REDIS_SETTINGS } from "../../src/local/redis-process.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The Redis of this run, or the empty string. */
    redisUrl: string;
  }
}

const REDIS_PORT = 6379;
const CONTAINER_START_MS = 120_000;

const say = (line: string) => console.error(line);

async function redisContainer(): Promise<LocalRedis | undefined> {
  const image = redisImage();
  try {
    const container = await new GenericContainer(image)
      .withCommand([serverIn(image), "--protected-mode", "no", "--save", "", ...REDIS_SETTINGS])
      .withExposedPorts(REDIS_PORT)
      .withWaitStrategy(Wait.forLogMessage(/Ready to accept connections/))
      .withStartupTimeout(CONTAINER_START_MS)
      .start();
    return {
      url: `redis://${container.getHost()}:${container.getMappedPort(REDIS_PORT)}`,
      label: `testcontainers, ${image}`,
      inContainer: true,
      // The reaper may be off: the container goes with the run, by us.
      stop: async () => {
        await container.stop({ timeout: 0 });
      },
    };
  } catch (error) {
    say(`no Redis by testcontainers: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** vitest's global set-up: one Redis for the whole run, known to the tests before they are collected. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env.TEST_REDIS_URL;
  const redis = given
    ? { url: given, label: "the Redis of TEST_REDIS_URL", inContainer: false, stop: async () => undefined }
    : ((await redisContainer()) ?? (await findRedis(say)));
  if (redis === undefined) {
    const reason = "no Redis: no Docker engine, no redis-server on the PATH, no apt-get download; or set REDIS_URL";
    if (process.env.CI === "true") throw new Error(reason);
    process.env.TEST_NO_REDIS = reason;
    say(reason);
  } else {
    process.env.TEST_REDIS_URL = redis.url;
    if (redis.inContainer) process.env.TEST_REDIS_KIND = "container";
    say(`Redis for the tests: ${redis.label}`);
  }
  project.provide("redisUrl", redis?.url ?? "");
  return async () => {
    await redis?.stop();
  };
}
