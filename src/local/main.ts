// npm start: a local cluster of nodes behind one sticky port, on a Redis found or started here.
import { randomBytes } from "node:crypto";
import { type Balancer, startBalancer } from "./balancer.ts";
import { buildIfStale } from "./build.ts";
import { LocalCluster } from "./cluster.ts";
import { type LocalNodes, localControl } from "./control.ts";
import { findRedis } from "./redis.ts";
import { Started } from "./started.ts";

const DEFAULT_PORT = 3000;
const DEFAULT_NODES = 3;
const MOST_NODES = 32;
const SECRET_BYTES = 32;
/** How soon the end of npm is noticed when it was killed and could pass no signal on. */
const PARENT_INTERVAL_MS = 1_000;
/** Connections end with the balancer, so there is little to hand over when all nodes stop. */
const DRAIN_SECONDS = "2";

const say = (line: string) => console.log(line);

/** A reason to end that the user can do something about: one sentence, no stack. */
class StartError extends Error {
  override readonly name = "StartError";
}

function numberOf(variable: string, fallback: number, least: number, most: number): number {
  const text = process.env[variable];
  if (text === undefined || text === "") return fallback;
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new StartError(`${variable} must be a whole number from ${least} to ${most}, and is ${JSON.stringify(text)}.`);
}

function isSet(...variables: string[]): boolean {
  return variables.some((variable) => process.env[variable]);
}

/** What all nodes share. What the user has set stays; this cluster is for development, whatever NODE_ENV says. */
function nodeEnv(redisUrl: string): Record<string, string> {
  const env: Record<string, string> = { NODE_ENV: "development", REDIS_URL: redisUrl };
  // Of nodes elsewhere: the one would contradict what was found, and of the other all nodes would want the same port.
  env.REDIS_URL_FILE = "";
  env.API_PORT = "";
  if (!isSet("DEMO")) env.DEMO = "on";
  if (!isSet("LOG_LEVEL")) env.LOG_LEVEL = "warn";
  if (!isSet("DRAIN_SECONDS")) env.DRAIN_SECONDS = DRAIN_SECONDS;
  if (!isSet("JWT_SECRET", "JWT_SECRET_FILE", "JWKS_URL")) env.JWT_SECRET = randomBytes(SECRET_BYTES).toString("hex");
  if (!isSet("API_KEYS", "API_KEYS_FILE")) env.API_KEYS = randomBytes(SECRET_BYTES).toString("hex");
  return env;
}

async function openBalancer(port: number, nodes: LocalNodes): Promise<Balancer> {
  try {
    return await startBalancer({ port, intercept: localControl(nodes) });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "EADDRINUSE") {
      throw new StartError(`Port ${port} is in use: end what listens there, or choose another with PORT=… npm start.`);
    }
    if (code === "EACCES")
      throw new StartError(`Port ${port} is not allowed here: choose another with PORT=… npm start.`);
    throw error;
  }
}

const NO_REDIS = process.env.REDIS_URL === "memory:" ? "REDIS_URL is memory:" : "There is no Redis";

async function start(started: Started): Promise<void> {
  let cluster: LocalCluster | undefined;
  // First of all, so that a busy port is known before anything is built or started.
  const balancer = await openBalancer(numberOf("PORT", DEFAULT_PORT, 0, 65_535), {
    names: () => cluster?.names ?? [],
    kill: (name) => cluster?.kill(name) ?? false,
  });
  started.add(() => balancer.close());
  const wanted = numberOf("NODES", DEFAULT_NODES, 1, MOST_NODES);
  if (!buildIfStale()) throw new StartError("The build failed.");

  const redis = await findRedis(say);
  if (redis !== undefined) started.add(() => redis.stop());
  if (redis === undefined)
    say(`${NO_REDIS}, so one node runs in memory; for a cluster install redis-server, or set REDIS_URL.`);
  const env = nodeEnv(redis?.url ?? "memory:");
  const count = redis === undefined ? 1 : wanted;
  const nodes = new LocalCluster({ count, env, balancer, say });
  cluster = nodes;
  started.add(() => nodes.stop());
  // Connections before nodes, so that these have nothing to hand over.
  started.add(() => balancer.close());
  await nodes.start();

  say("");
  say(`Roomcast   ${balancer.url}`);
  say(`  nodes    ${count}, on ${redis?.label ?? "memory"}`);
  say(`  token    npm run -s token -- --sub ada --room 'chat:*'`);
  if (env.API_KEYS !== undefined) say(`  API key  ${env.API_KEYS}`);
  say("  Ctrl-C ends it.");
}

const started = new Started();
const endAll = () => {
  void started.end().finally(() => process.exit(0));
};
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  // npm passes on the Ctrl-C that the terminal has sent us already: the second one changes nothing.
  process.on(signal, endAll);
}
if (process.env.npm_lifecycle_event !== undefined) {
  const npm = process.ppid;
  setInterval(() => {
    if (process.ppid !== npm) endAll();
  }, PARENT_INTERVAL_MS).unref();
}
try {
  await start(started);
} catch (error) {
  if (!started.isEnding) {
    console.error(error instanceof StartError ? error.message : error);
    process.exitCode = 1;
  }
  await started.end();
}
