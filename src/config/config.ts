import { randomBytes } from "node:crypto";
import type { RoomTypes } from "../auth/room-types.ts";
import type { ApplicationAddress } from "../auth/signed-question.ts";
import type { TokenSettings } from "../auth/tokens.ts";
import { type Environment, readValues } from "../environment.ts";
import type { Rate } from "../room/budget.ts";
import type { RateLimits } from "../room/rates.ts";
import type { LogLevel } from "../telemetry/log.ts";
import type { Values } from "../variables.ts";
import type { Endpoint } from "../webhooks/endpoints.ts";
import { readRoomTypes, readWebhooks } from "./files.ts";
import { type Limits, limitSettings } from "./limits.ts";
import { apiRate, type FloodLimits, floodSettings, rateSettings } from "./rates.ts";
import { brokenRules, inProduction } from "./rules.ts";

/** `EX_CONFIG` of sysexits.h: what the process exits with when it cannot start with its configuration. */
export const CONFIG_EXIT_CODE = 78;

/** The length of a random secret, in bytes. */
const GENERATED_SECRET_BYTES = 32;

/** What one node runs with: everything checked, nothing left to choose. */
export interface Config {
  readonly production: boolean;
  readonly host: string;
  /** Public: Socket.IO, `/v1`, the demo. 0: any free port. */
  readonly port: number;
  readonly adminPort: number;
  readonly api:
    | { readonly kind: "off" }
    | { readonly kind: "public-port"; readonly keys: readonly string[] }
    | { readonly kind: "own-port"; readonly port: number; readonly keys: readonly string[] };
  readonly redis:
    | { readonly kind: "memory" }
    | { readonly kind: "server"; readonly url: string; readonly tls: RedisTls | undefined };
  readonly redisPrefix: string;
  readonly tokens: TokenSettings;
  /** Whose pages may connect from other origins: nobody's where it is empty. */
  readonly corsOrigins: readonly string[] | "*";
  /** The application's server, where it decides about rooms that tokens do not cover. */
  readonly authorize: (ApplicationAddress & { readonly timeoutMs: number; readonly maxParallel: number }) | undefined;
  /** Networks of balancers; none where clients connect directly, undefined where nobody said. */
  readonly trustedProxies: readonly string[] | undefined;
  readonly roomTypes: RoomTypes;
  /** Who is told what happens. */
  readonly webhooks: readonly Endpoint[];
  readonly nodeName: string;
  readonly logLevel: LogLevel;
  readonly dedupeSeconds: number;
  readonly drainSeconds: number;
  readonly rates: RateLimits | "off";
  readonly floods: FloodLimits | "off";
  /** What one API key may ask of this node. */
  readonly apiRate: Rate | "off";
  /** `tokens`: whom `POST /dev/token` answers; nobody where only a JWKS is known, for there is nothing to sign with. */
  readonly demo:
    | { readonly kind: "off" }
    | { readonly kind: "on"; readonly tokens: "loopback" | "everybody" | "nobody" };
  /** Whether readiness depends on the canary messages that reach this node. */
  readonly canaryReadiness: boolean;
  readonly limits: Limits;
  /** What the node should log once it starts: allowed, but not what one wants in production. */
  readonly warnings: readonly string[];
}

/** PEM texts for a `rediss://` server. */
export interface RedisTls {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** The environment does not make a configuration. Its message has one line for each wrong variable. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

function redisTls({ REDIS_CA: ca, REDIS_CERT: cert, REDIS_KEY: key }: Values): RedisTls | undefined {
  return ca === undefined && cert === undefined ? undefined : { ca, cert, key };
}

function tokenSettings(values: Values): TokenSettings {
  const { JWT_SECRET: secrets, JWKS_URL: url, JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = values;
  if (url !== undefined) return { keys: { kind: "jwks", url }, issuer, audience };
  if (secrets !== undefined) return { keys: { kind: "secrets", secrets, generated: false }, issuer, audience };
  const random = randomBytes(GENERATED_SECRET_BYTES);
  return { keys: { kind: "secrets", secrets: [random], generated: true }, issuer, audience };
}

function authorizeSettings(values: Values): Config["authorize"] {
  const { AUTHORIZE_URL: url, AUTHORIZE_SECRET: secret } = values;
  if (url === undefined || secret === undefined) return undefined;
  return { url, secret, timeoutMs: values.AUTHORIZE_TIMEOUT_MS, maxParallel: values.AUTHORIZE_PARALLEL };
}

function apiSettings(values: Values): Config["api"] {
  const { API_KEYS: keys, API_PORT: port } = values;
  if (keys === undefined) return { kind: "off" };
  return port === undefined || (port === values.PORT && port !== 0)
    ? { kind: "public-port", keys }
    : { kind: "own-port", port, keys };
}

function demoSettings(values: Values): Config["demo"] {
  const production = inProduction(values);
  if ((values.DEMO ?? (production ? "off" : "on")) === "off") return { kind: "off" };
  if (values.JWKS_URL !== undefined) return { kind: "on", tokens: "nobody" };
  return { kind: "on", tokens: production ? "everybody" : "loopback" };
}

function warningsFor(values: Values): string[] {
  const warnings: string[] = [];
  const demo = demoSettings(values);
  if (inProduction(values) && demo.kind === "on") {
    warnings.push(
      demo.tokens === "everybody"
        ? "DEMO is on in production: POST /dev/token gives everybody a token for every room"
        : "DEMO is on in production: everybody can open the demo",
    );
  }
  if (values.DEMO === "on" && demo.kind === "on" && demo.tokens === "nobody") {
    warnings.push("DEMO is on with JWKS_URL: POST /dev/token is off, for there is no key to sign with");
  }
  if (inProduction(values) && values.REDIS_URL === "memory:") {
    warnings.push("REDIS_URL is memory: in production: everything is lost with this process");
  }
  if (values.RATE_LIMITS === "off") warnings.push("RATE_LIMITS is off: for load tests only");
  if (values.API_PORT !== undefined && values.API_KEYS === undefined) {
    warnings.push("API_PORT is set without API_KEYS: there is no /v1");
  }
  return warnings;
}

/** Reads the file of `ROOM_TYPES` again. Throws `ConfigError` with everything that is wrong in it. */
export function reloadRoomTypes(env: Environment): RoomTypes {
  const { types, problems } = readRoomTypes(readValues(env).values);
  if (problems.length > 0) throw new ConfigError(problems);
  return types;
}

/**
 * Makes the configuration from environment variables (README: every one of them); an empty one counts as not set.
 * Reads the files that `…_FILE` and `ROOM_TYPES` name. Throws `ConfigError` with every problem at once.
 */
export function parseConfig(env: Environment): Config {
  const { values, wrong, ...read } = readValues(env);
  const problems = [...read.problems, ...brokenRules(values, wrong)];
  const roomTypes = readRoomTypes(values);
  const webhooks = readWebhooks(values);
  problems.push(...roomTypes.problems, ...webhooks.problems);
  if (problems.length > 0) throw new ConfigError(problems);
  const { REDIS_URL: redis } = values;
  const production = inProduction(values);
  return {
    production,
    host: values.HOST ?? (production ? "0.0.0.0" : "127.0.0.1"),
    port: values.PORT,
    adminPort: values.ADMIN_PORT,
    api: apiSettings(values),
    redis:
      redis === undefined || redis === "memory:"
        ? { kind: "memory" }
        : { kind: "server", url: redis, tls: redisTls(values) },
    redisPrefix: values.REDIS_PREFIX,
    tokens: tokenSettings(values),
    corsOrigins: values.CORS_ORIGINS ?? [],
    authorize: authorizeSettings(values),
    trustedProxies: values.TRUSTED_PROXIES,
    roomTypes: roomTypes.types,
    webhooks: webhooks.endpoints,
    nodeName: values.NODE_NAME,
    logLevel: values.LOG_LEVEL,
    dedupeSeconds: values.DEDUPE_SECONDS,
    drainSeconds: values.DRAIN_SECONDS,
    rates: rateSettings(values),
    apiRate: apiRate(values),
    floods: floodSettings(values),
    demo: demoSettings(values),
    canaryReadiness: values.CANARY_READINESS === "on",
    limits: limitSettings(values),
    warnings: warningsFor(values),
  };
}
