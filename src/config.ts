import { randomBytes, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { parseRoomTypes, RoomTypes } from "./auth/room-types.ts";
import type { ApplicationAddress } from "./auth/signed-question.ts";
import type { TokenSettings } from "./auth/tokens.ts";
import { type Environment, readFailure, readValues } from "./environment.ts";
import { isLoopbackHost } from "./loopback.ts";
import type { Rate } from "./room/budget.ts";
import type { RateLimits, RoomRateLimits } from "./room/rates.ts";
import type { LogLevel } from "./telemetry/log.ts";
import type { Values, VariableName } from "./variables.ts";
import { type Endpoint, parseEndpoints } from "./webhooks/endpoints.ts";

/** `EX_CONFIG` of sysexits.h: what the process exits with when it cannot start with its configuration. */
export const CONFIG_EXIT_CODE = 78;

/** Connections of one address, where `TRUSTED_PROXIES` says that addresses mean something. */
const DEFAULT_CONNECTIONS_PER_ADDRESS = 1_000;

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

/** Rates that are not those of one connection's requests. */
export interface FloodLimits {
  readonly room: RoomRateLimits;
  /** Of one connection. */
  readonly frames: Rate;
  /** Of one connection: how many `rate_limited` it may be answered. */
  readonly refusals: Rate;
  /** New ones, of the node. */
  readonly connections: Rate;
}

/** Bounds and times that are not part of another setting; the units are in the names. */
export interface Limits {
  readonly maxPayloadBytes: number;
  /** The body of one call with many messages. */
  readonly maxBatchBytes: number;
  readonly maxStateBytes: number;
  readonly maxRoomsPerConnection: number;
  readonly maxPendingRequests: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerUser: number;
  readonly maxConnectionsPerAddress: number;
  /** Connections that are not authenticated. */
  readonly maxHandshakes: number;
  /** Live messages held for one joining reader, or for one feed that repairs a gap. */
  readonly maxHeldBytes: number;
  /** What one connection may be owed before its readers leave the live stream. */
  readonly maxOutboundBytes: number;
  /** What all connections of the node together may be owed. */
  readonly maxOutboundBytesPerNode: number;
  readonly handshakeTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly graceSeconds: number;
  readonly leaseSeconds: number;
  readonly feedLingerMs: number;
  readonly canaryIntervalMs: number;
  /** Rooms with series of their own in `/metrics`. */
  readonly metricsTopRooms: number;
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

/** A rule between variables; it is not asked where one of them is wrong by itself. */
interface Rule {
  readonly between: readonly VariableName[];
  readonly problem: string;
  broken(values: Values): boolean;
}

const inProduction = (values: Values): boolean => values.NODE_ENV === "production";

const isPlainHttp = (url: URL | undefined): boolean => url?.protocol === "http:" && !isLoopbackHost(url.host);

const RULES: readonly Rule[] = [
  {
    between: ["NODE_ENV", "REDIS_URL"],
    problem: "REDIS_URL must be set in production; memory: runs one node without Redis",
    broken: (values) => inProduction(values) && values.REDIS_URL === undefined,
  },
  {
    between: ["REDIS_URL", "WEBHOOKS"],
    problem: "WEBHOOKS needs a REDIS_URL that is a server: in memory, events would be lost with the node",
    broken: ({ REDIS_URL: url, WEBHOOKS: path }) => path !== undefined && (url === undefined || url === "memory:"),
  },
  {
    between: ["REDIS_URL", "REDIS_CA", "REDIS_CERT"],
    problem: "REDIS_CA and REDIS_CERT need a REDIS_URL that begins with rediss://",
    broken: ({ REDIS_URL: url, REDIS_CA: ca, REDIS_CERT: cert }) =>
      (ca !== undefined || cert !== undefined) && url?.startsWith("rediss://") !== true,
  },
  {
    between: ["REDIS_CERT", "REDIS_KEY"],
    problem: "REDIS_CERT and REDIS_KEY must be set together",
    broken: (values) => (values.REDIS_CERT === undefined) !== (values.REDIS_KEY === undefined),
  },
  {
    between: ["REDIS_CA", "REDIS_CERT", "REDIS_KEY"],
    problem: "REDIS_CA, REDIS_CERT and REDIS_KEY must be certificates, and the key that fits them",
    broken: makesNoTls,
  },
  {
    between: ["NODE_ENV", "JWT_SECRET", "JWKS_URL"],
    problem: "JWT_SECRET or JWKS_URL must be set in production",
    broken: (values) => inProduction(values) && values.JWT_SECRET === undefined && values.JWKS_URL === undefined,
  },
  {
    between: ["JWT_SECRET", "JWKS_URL"],
    problem: "JWT_SECRET and JWKS_URL must not both be set: tokens are verified by the one or the other",
    broken: (values) => values.JWT_SECRET !== undefined && values.JWKS_URL !== undefined,
  },
  {
    between: ["NODE_ENV", "JWKS_URL"],
    problem: "JWKS_URL must be https:// in production, unless it is on loopback",
    broken: (values) => inProduction(values) && isPlainHttp(values.JWKS_URL),
  },
  {
    between: ["AUTHORIZE_URL", "AUTHORIZE_SECRET"],
    problem: "AUTHORIZE_URL and AUTHORIZE_SECRET must be set together: questions are signed",
    broken: (values) => (values.AUTHORIZE_URL === undefined) !== (values.AUTHORIZE_SECRET === undefined),
  },
  {
    between: ["NODE_ENV", "AUTHORIZE_URL"],
    problem: "AUTHORIZE_URL must be https:// in production, unless it is on loopback",
    broken: (values) => inProduction(values) && isPlainHttp(values.AUTHORIZE_URL),
  },
  {
    between: ["AUTHORIZE_TIMEOUT_MS", "REQUEST_TIMEOUT_MS"],
    problem: "AUTHORIZE_TIMEOUT_MS must be less than REQUEST_TIMEOUT_MS",
    broken: (values) => values.AUTHORIZE_URL !== undefined && values.AUTHORIZE_TIMEOUT_MS >= values.REQUEST_TIMEOUT_MS,
  },
  {
    between: ["PORT", "ADMIN_PORT"],
    problem: "ADMIN_PORT must not be the same as PORT",
    broken: (values) => values.ADMIN_PORT !== 0 && values.ADMIN_PORT === values.PORT,
  },
  {
    between: ["API_PORT", "ADMIN_PORT"],
    problem: "API_PORT must not be the same as ADMIN_PORT",
    broken: (values) => values.ADMIN_PORT !== 0 && values.ADMIN_PORT === values.API_PORT,
  },
  {
    between: ["TRUSTED_PROXIES", "MAX_CONNECTIONS_PER_ADDRESS"],
    problem: "MAX_CONNECTIONS_PER_ADDRESS needs TRUSTED_PROXIES: without it every client has the balancer's address",
    broken: (values) => values.MAX_CONNECTIONS_PER_ADDRESS !== undefined && values.TRUSTED_PROXIES === undefined,
  },
  {
    between: ["PRESENCE_EVENTS_UP_TO_MEMBERS", "PRESENCE_EVENTS_AGAIN_BELOW_MEMBERS"],
    problem: "PRESENCE_EVENTS_AGAIN_BELOW_MEMBERS must not be more than PRESENCE_EVENTS_UP_TO_MEMBERS",
    broken: (values) => values.PRESENCE_EVENTS_AGAIN_BELOW_MEMBERS > values.PRESENCE_EVENTS_UP_TO_MEMBERS,
  },
];

function readJson(
  variable: "ROOM_TYPES" | "WEBHOOKS",
  path: string,
): { ok: true; json: unknown } | { ok: false; problem: string } {
  try {
    return { ok: true, json: JSON.parse(readFileSync(path, "utf8")) };
  } catch (error) {
    // What is said of the text shows a piece of it, and among endpoints there may be secrets.
    const detail = error instanceof SyntaxError && variable !== "WEBHOOKS" ? ` (${error.message})` : "";
    const what = error instanceof SyntaxError ? `is not JSON${detail}` : `cannot be read (${readFailure(error)})`;
    return { ok: false, problem: `${variable} names a file that ${what}: ${path}` };
  }
}

function readWebhooks(values: Values): { endpoints: readonly Endpoint[]; problems: readonly string[] } {
  const path = values.WEBHOOKS;
  if (path === undefined) return { endpoints: [], problems: [] };
  const file = readJson("WEBHOOKS", path);
  if (!file.ok) return { endpoints: [], problems: [file.problem] };
  const result = parseEndpoints(file.json, inProduction(values));
  if (result.ok) return { endpoints: result.endpoints, problems: [] };
  return { endpoints: [], problems: result.problems.map((problem) => `WEBHOOKS (${path}): ${problem}`) };
}

function readRoomTypes(values: Values): { types: RoomTypes; problems: readonly string[] } {
  const presence = {
    upToMembers: values.PRESENCE_EVENTS_UP_TO_MEMBERS,
    againBelowMembers: values.PRESENCE_EVENTS_AGAIN_BELOW_MEMBERS,
  };
  const builtIn = new RoomTypes(presence);
  const path = values.ROOM_TYPES;
  if (path === undefined) return { types: builtIn, problems: [] };
  const file = readJson("ROOM_TYPES", path);
  if (!file.ok) return { types: builtIn, problems: [file.problem] };
  const result = parseRoomTypes(file.json, presence);
  if (result.ok) return { types: result.types, problems: [] };
  return { types: builtIn, problems: result.problems.map((problem) => `ROOM_TYPES (${path}): ${problem}`) };
}

function redisTls({ REDIS_CA: ca, REDIS_CERT: cert, REDIS_KEY: key }: Values): RedisTls | undefined {
  return ca === undefined && cert === undefined ? undefined : { ca, cert, key };
}

/** Whether these certificates and this key can be used together. */
function makesNoTls({ REDIS_CA: ca, REDIS_CERT: cert, REDIS_KEY: key }: Values): boolean {
  try {
    // A secure context passes over authorities that it cannot read.
    if (ca !== undefined) new X509Certificate(ca);
    createSecureContext({ ca, cert, key });
    return false;
  } catch {
    return true;
  }
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

function rateSettings(values: Values): Config["rates"] {
  if (values.RATE_LIMITS === "off") return "off";
  return {
    join: { perSecond: values.RATE_JOIN_PER_SECOND, burst: values.RATE_JOIN_BURST },
    send: { perSecond: values.RATE_SEND_PER_SECOND, burst: values.RATE_SEND_BURST },
    signal: { perSecond: values.RATE_SIGNAL_PER_SECOND, burst: values.RATE_SIGNAL_BURST },
    read: { perSecond: values.RATE_READ_PER_SECOND, burst: values.RATE_READ_BURST },
    state: { perSecond: values.RATE_STATE_PER_SECOND, burst: values.RATE_STATE_BURST },
    moderate: { perSecond: values.RATE_MODERATE_PER_SECOND, burst: values.RATE_MODERATE_BURST },
    renew: { perSecond: values.RATE_RENEW_PER_SECOND, burst: values.RATE_RENEW_BURST },
  };
}

function apiRate(values: Values): Config["apiRate"] {
  if (values.RATE_LIMITS === "off") return "off";
  return { perSecond: values.RATE_API_PER_SECOND, burst: values.RATE_API_BURST };
}

function floodSettings(values: Values): Config["floods"] {
  if (values.RATE_LIMITS === "off") return "off";
  return {
    room: {
      send: { perSecond: values.RATE_ROOM_SEND_PER_SECOND, burst: values.RATE_ROOM_SEND_BURST },
      signal: { perSecond: values.RATE_ROOM_SIGNAL_PER_SECOND, burst: values.RATE_ROOM_SIGNAL_BURST },
    },
    frames: { perSecond: values.RATE_FRAMES_PER_SECOND, burst: values.RATE_FRAMES_BURST },
    refusals: { perSecond: values.RATE_REFUSALS_PER_SECOND, burst: values.RATE_REFUSALS_BURST },
    connections: { perSecond: values.RATE_CONNECTIONS_PER_SECOND, burst: values.RATE_CONNECTIONS_BURST },
  };
}

function limitSettings(values: Values): Limits {
  return {
    maxPayloadBytes: values.MAX_PAYLOAD_BYTES,
    maxBatchBytes: values.MAX_BATCH_BYTES,
    maxStateBytes: values.MAX_STATE_BYTES,
    maxRoomsPerConnection: values.MAX_ROOMS_PER_CONNECTION,
    maxPendingRequests: values.MAX_PENDING_REQUESTS,
    maxConnections: values.MAX_CONNECTIONS,
    maxConnectionsPerUser: values.MAX_CONNECTIONS_PER_USER,
    maxConnectionsPerAddress: values.MAX_CONNECTIONS_PER_ADDRESS ?? DEFAULT_CONNECTIONS_PER_ADDRESS,
    maxHandshakes: values.MAX_HANDSHAKES,
    maxHeldBytes: values.MAX_HELD_BYTES,
    maxOutboundBytes: values.MAX_OUTBOUND_BYTES,
    maxOutboundBytesPerNode: values.MAX_OUTBOUND_BYTES_PER_NODE,
    handshakeTimeoutMs: values.HANDSHAKE_TIMEOUT_MS,
    requestTimeoutMs: values.REQUEST_TIMEOUT_MS,
    graceSeconds: values.GRACE_SECONDS,
    leaseSeconds: values.LEASE_SECONDS,
    feedLingerMs: values.FEED_LINGER_MS,
    canaryIntervalMs: values.CANARY_INTERVAL_MS,
    metricsTopRooms: values.METRICS_TOP_ROOMS,
  };
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
  const problems = [...read.problems];
  for (const rule of RULES) {
    if (!rule.between.some((name) => wrong.has(name)) && rule.broken(values)) problems.push(rule.problem);
  }
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
