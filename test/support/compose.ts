import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { describe } from "vitest";
import { freePort } from "../../src/local/ports.ts";
import { engineAnswers } from "../../src/local/redis-container.ts";
import { stopsWithTest } from "./teardown.ts";

const ROOT = join(import.meta.dirname, "../..");
const hasEngine = await engineAnswers();

/** `describe` for tests that need a Docker engine: skipped, with the reason in the title, where none answers. */
export function describeWithDocker(title: string, tests: () => void): void {
  if (hasEngine) describe(title, tests);
  else describe.skip(`${title} (skipped: no Docker engine answers)`, tests);
}

/** Runs a command to its end; rejects with what it said last, of errors and else, where that is not 0. */
export function command(name: string, args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(name, args, { cwd: ROOT, env: { ...process.env, ...env } });
    let [said, errors] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text) => (said += text));
    child.stderr.setEncoding("utf8").on("data", (text) => {
      said += text;
      errors += text;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(said);
      else
        reject(
          new Error(`${name} ${args.join(" ")} ended with ${code}:\n${errors.slice(-4_000)}\n${said.slice(-4_000)}`),
        );
    });
  });
}

/** Where the engine listens: a file, for what is mounted into containers. */
export const ENGINE_SOCKET = (process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock").replace(/^unix:\/\//, "");

/** Whether an image is here, or comes from a registry. */
export async function imageCanBeHad(image: string): Promise<boolean> {
  const works = (args: readonly string[]) =>
    command("docker", args).then(
      () => true,
      () => false,
    );
  return hasEngine && ((await works(["image", "inspect", image])) || (await works(["pull", "--quiet", image])));
}

/** The whole of docker-compose.yml under a name and ports of its own. */
export interface Compose {
  /** The balancer's address. */
  readonly url: string;
  /** Prometheus' address, where that service was started. */
  readonly prometheusUrl: string;
  /** `docker compose …` in this project. */
  run(...args: string[]): Promise<string>;
  /** A shell script whose `docker compose` is this project; it ends with the first command that fails. */
  shell(script: string): Promise<string>;
}

/**
 * Builds and starts everything, or these services and what they depend on, and waits until it is healthy. Taken down,
 * volumes too, with the test that called it.
 */
export async function composeUp(
  nodes: number,
  { env = {}, services = [] }: { env?: Record<string, string>; services?: readonly string[] } = {},
): Promise<Compose> {
  const port = await freePort();
  const prometheusPort = await freePort();
  const own = {
    COMPOSE_PROJECT_NAME: `rc${randomUUID().slice(0, 8)}`,
    PORT: String(port),
    STATS_PORT: String(await freePort()),
    PROMETHEUS_PORT: String(prometheusPort),
    ...env,
  };
  const run = (...args: string[]) => command("docker", ["compose", ...args], own);
  stopsWithTest(async () => {
    await run("--profile", "*", "down", "--volumes", "--timeout", "5");
  });
  await run("up", "--build", "--wait", "--detach", "--scale", `node=${nodes}`, ...services);
  const shell = (script: string) => command("sh", ["-euc", script], own);
  return { url: `http://127.0.0.1:${port}`, prometheusUrl: `http://127.0.0.1:${prometheusPort}`, run, shell };
}

/** A token for every room from the demo, which answers everybody in docker-compose.yml. */
export async function devToken(url: string, sub: string): Promise<string> {
  const response = await fetch(`${url}/dev/token`, { method: "POST", body: JSON.stringify({ sub }) });
  if (!response.ok) throw new Error(`POST /dev/token answered ${response.status}`);
  return ((await response.json()) as { token: string }).token;
}
