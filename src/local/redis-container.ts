import { randomBytes } from "node:crypto";
import { freePort } from "./ports.ts";
import type { Say } from "./redis-binary.ts";
import { REDIS_SETTINGS, untilPing } from "./redis-process.ts";
import { ask } from "./run-command.ts";
import { ended, endProcess, spawnTied } from "./tied-process.ts";

/** The image where nothing else is asked for by `REDIS_IMAGE`: Valkey's licence lets everybody use it. */
const DEFAULT_IMAGE = "valkey/valkey:8";
const ENGINE_TIMEOUT_MS = 3_000;
const PULL_TIMEOUT_MS = 90_000;
const START_TIMEOUT_MS = 20_000;
const STOP_GRACE_MS = 5_000;

/** The image that local Redis containers are made of. */
export function redisImage(): string {
  return process.env.REDIS_IMAGE || DEFAULT_IMAGE;
}

/** The server program inside an image. */
export function serverIn(image: string): string {
  return image.includes("valkey") ? "valkey-server" : "redis-server";
}

/** Whether a Docker engine answers, by the `docker` command. */
export async function engineAnswers(): Promise<boolean> {
  const version = await ask("docker", ["version", "--format", "{{.Server.Version}}"], { timeoutMs: ENGINE_TIMEOUT_MS });
  return version !== undefined && version.trim() !== "";
}

/** Whether the image is here, pulled if need be. */
export async function imageIsHere(image: string, say: Say): Promise<boolean> {
  if ((await ask("docker", ["image", "inspect", image], { timeoutMs: ENGINE_TIMEOUT_MS })) !== undefined) return true;
  say(`pulling ${image}`);
  if ((await ask("docker", ["pull", "-q", image], { timeoutMs: PULL_TIMEOUT_MS })) !== undefined) return true;
  say(`${image} could not be pulled`);
  return false;
}

/** A Redis in a container that goes away with this process; nothing where no engine answers or no image can be had. */
export async function startRedisContainer(
  say: Say,
): Promise<{ url: string; label: string; stop(): Promise<void> } | undefined> {
  const image = redisImage();
  if (!(await engineAnswers()) || !(await imageIsHere(image, say))) return undefined;

  const port = await freePort();
  const name = `roomcast-${randomBytes(6).toString("hex")}`;
  const run = ["run", "--rm", "--init", "--name", name, "-p", `127.0.0.1:${port}:6379`, image];
  const server = [serverIn(image), "--protected-mode", "no", "--save", "", ...REDIS_SETTINGS];
  // In the foreground: the docker command passes SIGTERM on, so the container ends with us even if we are killed.
  const child = spawnTied("docker", [...run, ...server], { stdio: "ignore", detached: true, deathSignal: "SIGTERM" });
  let over = false;
  void ended(child).then(() => {
    over = true;
  });
  const stop = async () => {
    await endProcess(child, STOP_GRACE_MS);
    await ask("docker", ["rm", "-f", name], { timeoutMs: STOP_GRACE_MS });
  };
  if (await untilPing(port, START_TIMEOUT_MS, () => over)) {
    return { url: `redis://127.0.0.1:${port}`, label: `a container of ${image}`, stop };
  }
  await stop();
  say(`a container of ${image} did not start`);
  return undefined;
}
