import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { GenericContainer, Wait } from "testcontainers";
import type { TestProject } from "vitest/node";
import { findRedis, type LocalRedis } from "../../src/local/redis.ts";
import { findRedisBinary } from "../../src/local/redis-binary.ts";
import { redisImage, serverIn } from "../../src/local/redis-container.ts";
import { REDIS_SETTINGS } from "../../src/local/redis-process.ts";
import { RUN_LABEL, runId } from "./run-id.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The Redis of this run, or the empty string. */
    redisUrl: string;
  }
}

const REDIS_PORT = 6379;
const CONTAINER_START_MS = 120_000;
const REMOVE_TIMEOUT_MS = 10_000;

const say = (line: string) => console.error(line);

async function redisContainer(): Promise<LocalRedis | undefined> {
  const image = redisImage();
  try {
    const container = await new GenericContainer(image)
      .withCommand([serverIn(image), "--protected-mode", "no", "--save", "", ...REDIS_SETTINGS])
      .withExposedPorts(REDIS_PORT)
      .withLabels({ [RUN_LABEL]: runId() })
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

/** The containers of an interrupted run go too, without testcontainers' reaper, and those of tests that were cut off. */
function removeContainersAtExit(): void {
  // vitest has no handlers where its output is no terminal, and a signal without one ends a process without `exit`.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));
  process.once("exit", () => {
    const options = { encoding: "utf8", timeout: REMOVE_TIMEOUT_MS } as const;
    const list = spawnSync("docker", ["ps", "-aq", "--filter", `label=${RUN_LABEL}=${runId()}`], options);
    const ids = (list.stdout ?? "").split("\n").filter(Boolean);
    if (ids.length > 0) spawnSync("docker", ["rm", "-f", "-v", ...ids], options);
  });
}

/**
 * Tests that kill or hang a Redis start one of their own, dozens in a run, and a program starts in a fraction of a
 * container's time. Containers are for where there is no program, and for an image that was asked for by name: it is to
 * reach these tests too.
 */
async function choosePrivateRedis(): Promise<void> {
  const binary = process.env.REDIS_IMAGE ? undefined : await findRedisBinary(say);
  if (binary === undefined) process.env.TEST_PRIVATE_REDIS = "container";
  say(`Redis that tests kill: ${binary?.label ?? `containers of ${redisImage()}`}`);
}

/** vitest's global set-up: one Redis for the whole run, known to the tests before they are collected. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  process.env.TEST_RUN_ID = randomUUID();
  const given = process.env.TEST_REDIS_URL;
  const redis = given
    ? { url: given, label: "the Redis of TEST_REDIS_URL", inContainer: false, stop: async () => undefined }
    : ((await redisContainer()) ?? (await findRedis(say)));
  if (redis === undefined) {
    const reason = "no Redis: no Docker engine, no redis-server on the PATH, no apt-get download; or set REDIS_URL";
    process.env.TEST_NO_REDIS = reason;
    say(reason);
  } else {
    process.env.TEST_REDIS_URL = redis.url;
    if (redis.inContainer) {
      removeContainersAtExit();
      await choosePrivateRedis();
    }
    say(`Redis for the tests: ${redis.label}`);
  }
  project.provide("redisUrl", redis?.url ?? "");
  return async () => {
    await redis?.stop();
  };
}
