import { hostname } from "node:os";
import * as z from "zod";
import { isProxyNetwork } from "./client-address.ts";
import { BOUNDS } from "./protocol.ts";
import { LOG_LEVELS } from "./telemetry/log.ts";

/** One environment variable: how its text becomes a value, and its row in the README. */
export interface Variable<Value> {
  readonly schema: z.ZodType<Value, string>;
  /** The value where the variable is not set. */
  readonly fallback: Value;
  /** The default as the README shows it, in Markdown. */
  readonly shown: string;
  /** What it means, with its unit. */
  readonly meaning: string;
  /** Secret: its text is never repeated in a message, and `<NAME>_FILE` may name a file that holds it. */
  readonly secret: boolean;
}

const PORTS = { min: 0, max: 65_535 };
const MIN_SECRET_BYTES = 32;
const MAX_PREFIX_BYTES = 64;
const MAX_NODE_NAME_BYTES = 128;
const KIB = 1024;
const MIB = 1024 * KIB;
const DAY_SECONDS = 24 * 60 * 60;

/** A text that `parse` turns into a value; a text that it answers `undefined` for is wrong, and `message` says why. */
function parsed<Value>(parse: (text: string) => Value | undefined, message: string): z.ZodType<Value, string> {
  return z.string().transform((text, context) => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  });
}

function wholeNumber(min: number, max: number): z.ZodType<number, string> {
  return parsed((text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  }, `must be a whole number from ${min} to ${max}`);
}

function choice<Value extends string>(values: readonly Value[]): z.ZodType<Value, string> {
  return parsed((text) => values.find((value) => value === text), `must be one of ${values.join(", ")}`);
}

function plainText(maxBytes: number): z.ZodType<string, string> {
  return parsed(
    (text) => (Buffer.byteLength(text) <= maxBytes && !/\p{Cc}/u.test(text) ? text : undefined),
    `must be at most ${maxBytes} bytes without control characters`,
  );
}

/** A comma list in which every item passes; items of secrets are taken to the byte, so white space at an end is wrong. */
function list<Item>(parse: (item: string) => Item | undefined, message: string): z.ZodType<readonly Item[], string> {
  return parsed((text) => {
    const items = text.split(",").map(parse);
    return items.every((item) => item !== undefined) ? items : undefined;
  }, message);
}

function secretBytes(item: string): Uint8Array | undefined {
  const bytes = Buffer.from(item);
  return bytes.length >= MIN_SECRET_BYTES && item.trim() === item ? bytes : undefined;
}

/** A secret as it is, or in the form of Standard Webhooks. */
function signingSecret(text: string): Uint8Array | undefined {
  if (!text.startsWith("whsec_")) return secretBytes(text);
  const bytes = Buffer.from(text.slice("whsec_".length), "base64");
  return bytes.length >= MIN_SECRET_BYTES ? bytes : undefined;
}

function redisUrl(text: string): string | undefined {
  if (text === "memory:") return text;
  const url = URL.parse(text);
  const isServer = url !== null && /^rediss?:$/.test(url.protocol) && url.hostname !== "";
  return isServer && /^\/?0?$/.test(url.pathname) && isEscaped(url.username + url.password) ? text : undefined;
}

/** Whether it can be read as what was escaped for a URL. */
function isEscaped(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function httpUrl(text: string): URL | undefined {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) ? url : undefined;
}

/** The address of somebody else's server. `fetch` takes none with a user or a password, and names them in its error. */
function serverUrl(text: string): URL | undefined {
  const url = httpUrl(text);
  return url?.username === "" && url.password === "" ? url : undefined;
}

function origin(item: string): string | undefined {
  const text = item.trim();
  return httpUrl(text)?.origin === text ? text : undefined;
}

function origins(text: string): readonly string[] | "*" | undefined {
  if (text.trim() === "*") return "*";
  const items = text.split(",").map(origin);
  return items.every((item) => item !== undefined) ? items : undefined;
}

/** Addresses and networks by comma; `none` for no proxy at all. */
function proxies(text: string): readonly string[] | undefined {
  if (text.trim() === "none") return [];
  const items = text.split(",").map((item) => item.trim());
  return items.every(isProxyNetwork) ? items : undefined;
}

function required<Value>(
  schema: z.ZodType<Value, string>,
  fallback: NoInfer<Value>,
  meaning: string,
  shown = `\`${fallback}\``,
): Variable<Value> {
  return { schema, fallback, shown, meaning, secret: false };
}

function optional<Value>(
  schema: z.ZodType<Value, string>,
  shown: string,
  meaning: string,
  secret = false,
): Variable<Value | undefined> {
  return { schema, fallback: undefined, shown, meaning, secret };
}

function limit(fallback: number, min: number, max: number, meaning: string): Variable<number> {
  return required(wholeNumber(min, max), fallback, meaning);
}

function perSecond(fallback: number, requests: string): Variable<number> {
  return limit(fallback, 1, 100_000, `${requests} per second and connection`);
}

function burst(fallback: number, requests: string): Variable<number> {
  return limit(fallback, 1, 1_000_000, `${requests} of one connection at once, after a quiet time`);
}

const pem = parsed(
  (text) => (/^-----BEGIN [A-Z ]+-----$/m.test(text) ? text : undefined),
  "must be PEM text: -----BEGIN and so on",
);
const onOff = choice(["on", "off"]);
const port = wholeNumber(PORTS.min, PORTS.max);

/** Every variable that a node reads, in the order of the README's table. */
export const VARIABLES = {
  NODE_ENV: optional(plainText(64), "", "`production` switches the conveniences of development off"),
  HOST: optional(plainText(255), "`127.0.0.1`, in production `0.0.0.0`", "where both ports listen"),
  PORT: required(port, 3000, "public port: Socket.IO, `/v1`, the demo; 0: any free one"),
  ADMIN_PORT: required(port, 9464, "private port: `/livez`, `/readyz`, `/metrics`, `POST /drain`; 0: any free one"),
  API_PORT: optional(port, "the public port", "a port of its own for `/v1`"),
  REDIS_URL: optional(
    parsed(
      redisUrl,
      "must be redis://host:port, rediss://host:port or memory:, and of database 0: REDIS_PREFIX keeps clusters apart",
    ),
    "",
    "`redis://` or `rediss://`: Redis 7 or newer, or Valkey. `memory:`, and outside production also none: everything in memory, one node. In production it must be set",
    true,
  ),
  REDIS_CA: optional(pem, "the system's", "PEM certificates by which the server of a `rediss://` is known", true),
  REDIS_CERT: optional(pem, "", "PEM certificate that this node shows to a `rediss://` server; with `REDIS_KEY`", true),
  REDIS_KEY: optional(pem, "", "PEM key of `REDIS_CERT`", true),
  REDIS_PREFIX: required(
    parsed(
      (text) => (Buffer.byteLength(text) <= MAX_PREFIX_BYTES && !/[{}\s\p{Cc}]/u.test(text) ? text : undefined),
      `must be 1 to ${MAX_PREFIX_BYTES} bytes without braces, white space and control characters`,
    ),
    "roomcast",
    "in front of every key and channel in Redis",
  ),
  JWT_SECRET: optional(
    list(
      secretBytes,
      `must be secrets of at least ${MIN_SECRET_BYTES} bytes each, separated by commas, without white space around them`,
    ),
    "random outside production",
    `HS256 secrets of at least ${MIN_SECRET_BYTES} bytes by comma: the first signs, all verify. In production this or \`JWKS_URL\` must be set, never both`,
    true,
  ),
  JWKS_URL: optional(
    parsed(serverUrl, "must be an http:// or https:// URL without user and password"),
    "",
    "where the public keys of tokens are (RS256, ES256, EdDSA); `https` in production, but for loopback",
  ),
  JWT_ISSUER: optional(plainText(1024), "", "the claim `iss` that tokens must have"),
  JWT_AUDIENCE: optional(plainText(1024), "", "the claim `aud` that tokens must have"),
  AUTHORIZE_URL: optional(
    parsed(serverUrl, "must be an http:// or https:// URL without user and password"),
    "",
    "the application's server, asked about rooms that a token does not cover (docs/operations.md); `https` in production, but for loopback",
  ),
  AUTHORIZE_SECRET: optional(
    parsed(
      signingSecret,
      `must be a secret of at least ${MIN_SECRET_BYTES} bytes, or whsec_ and its base64, without white space around it`,
    ),
    "",
    `what the questions to \`AUTHORIZE_URL\` are signed with, at least ${MIN_SECRET_BYTES} bytes, or \`whsec_\` and its base64`,
    true,
  ),
  AUTHORIZE_TIMEOUT_MS: limit(1_500, 50, 60_000, "milliseconds after which the application's server did not decide"),
  AUTHORIZE_PARALLEL: limit(32, 1, 10_000, "questions to the application's server at once, of one node"),
  API_KEYS: optional(
    list(
      (item) => (/^[\x21-\x7e]+$/.test(item) ? item : undefined),
      "must be keys of visible ASCII characters, separated by commas",
    ),
    "",
    "keys for `/v1`, by comma; none: no `/v1`",
    true,
  ),
  CORS_ORIGINS: optional(
    parsed(origins, "must be * or origins like https://example.com, separated by commas"),
    "",
    "origins whose pages may connect, by comma, or `*`",
  ),
  TRUSTED_PROXIES: optional(
    parsed(proxies, "must be none, or networks by comma: addresses, 10.0.0.0/8, loopback, linklocal, uniquelocal"),
    "",
    "networks of the balancers whose `X-Forwarded-For` is believed, by comma (`10.0.0.0/8`, `loopback`, `linklocal`, `uniquelocal`), or `none` where clients connect directly. Not set: clients are not told apart by address",
  ),
  ROOM_TYPES: optional(
    plainText(4096),
    "built-in",
    "path of a JSON file: for each room type its access, permissions, history, presence and limits",
  ),
  WEBHOOKS: optional(
    plainText(4096),
    "",
    "path of a JSON file: the endpoints that are told what happens (docs/webhooks.md); needs a Redis",
  ),
  NODE_NAME: required(plainText(MAX_NODE_NAME_BYTES), hostname(), "shown in `welcome`, metrics and logs", "host name"),
  LOG_LEVEL: required(choice(LOG_LEVELS), "info", `${LOG_LEVELS.join(", ")}; JSON lines on stdout`),
  DEDUPE_SECONDS: limit(600, 1, 7 * DAY_SECONDS, "for how many seconds a message's `id` is remembered"),
  DRAIN_SECONDS: limit(25, 0, 3600, "for how many seconds a stop may hand connections over"),
  RATE_LIMITS: required(onOff, "on", "`off` for load tests"),
  DEMO: optional(
    onOff,
    "on outside production",
    "the demo at `/` and `POST /dev/token`, which answers loopback callers only; `on` in production answers everybody: for trying things only",
  ),
  MAX_PAYLOAD_BYTES: limit(64 * KIB, 1, 512 * KIB, "bytes of a message's or signal's encoded `data`"),
  MAX_BATCH_BYTES: limit(2 * MIB, KIB, 64 * MIB, "bytes of the body of `POST /v1/messages`"),
  MAX_STATE_BYTES: limit(4 * KIB, 2, 64 * KIB, "bytes of a member's encoded `state`"),
  MAX_ROOMS_PER_CONNECTION: limit(100, 1, 10_000, "rooms of one connection"),
  MAX_PENDING_REQUESTS: limit(64, 1, 10_000, "unanswered requests of one connection"),
  MAX_CONNECTIONS: limit(20_000, 1, 1_000_000, "connections of one node"),
  MAX_CONNECTIONS_PER_USER: limit(100, 1, 1_000_000, "connections of one user on one node"),
  MAX_CONNECTIONS_PER_ADDRESS: optional(
    wholeNumber(1, 1_000_000),
    "1000 where `TRUSTED_PROXIES` is set",
    "connections of one address (of IPv6: of one /64) to one node",
  ),
  MAX_HANDSHAKES: limit(2_000, 1, 1_000_000, "connections of one node that are not authenticated yet"),
  MAX_HELD_BYTES: limit(MIB, KIB, 1024 * MIB, "bytes of live messages held for one joining reader or repairing feed"),
  MAX_OUTBOUND_BYTES: limit(
    MIB,
    256 * KIB,
    1024 * MIB,
    "bytes that one connection may be owed before its readers leave the live stream",
  ),
  MAX_OUTBOUND_BYTES_PER_NODE: limit(
    512 * MIB,
    MIB,
    64 * 1024 * MIB,
    "bytes that all connections of a node together may be owed before those that owe the most are closed",
  ),
  HANDSHAKE_TIMEOUT_MS: limit(
    10_000,
    100,
    120_000,
    "milliseconds in which a connection must authenticate, and in which the headers of an HTTP request must come; its body has three times as long",
  ),
  REQUEST_TIMEOUT_MS: limit(1900, 100, 60_000, "milliseconds after which a request that needs Redis is `unavailable`"),
  GRACE_SECONDS: limit(10, 0, 3600, "for how many seconds a lost connection still counts as present"),
  LEASE_SECONDS: limit(6, 2, 300, "seconds without a sign of life after which a node counts as dead"),
  FEED_LINGER_MS: limit(5000, 0, 600_000, "milliseconds for which a room stays subscribed after its last connection"),
  METRICS_TOP_ROOMS: limit(50, 0, 1_000, "rooms with series of their own in `/metrics`; the others are summed up"),
  CANARY_INTERVAL_MS: limit(2_000, 100, 30_000, "milliseconds between two canary messages of a node to all nodes"),
  CANARY_READINESS: required(
    onOff,
    "off",
    "`on`: `/readyz` says no on a node that does not get most of the canary messages in time",
  ),
  PRESENCE_EVENTS_UP_TO_MEMBERS: limit(100, 0, 1_000_000, "members up to which a room tells each coming and going"),
  PRESENCE_EVENTS_AGAIN_BELOW_MEMBERS: limit(80, 0, 1_000_000, "members under which it does so again"),
  RATE_JOIN_PER_SECOND: perSecond(20, "`joinRoom` and `leaveRoom`"),
  RATE_JOIN_BURST: burst(200, "`joinRoom` and `leaveRoom`"),
  RATE_SEND_PER_SECOND: perSecond(20, "`sendMessage`"),
  RATE_SEND_BURST: burst(40, "`sendMessage`"),
  RATE_SIGNAL_PER_SECOND: perSecond(50, "`sendSignal`"),
  RATE_SIGNAL_BURST: burst(100, "`sendSignal`"),
  RATE_READ_PER_SECOND: perSecond(20, "`getHistory` and `getMembers`"),
  RATE_READ_BURST: burst(40, "`getHistory` and `getMembers`"),
  RATE_STATE_PER_SECOND: perSecond(5, "`setState`"),
  RATE_STATE_BURST: burst(10, "`setState`"),
  RATE_MODERATE_PER_SECOND: perSecond(10, "`kickMember`, `unbanMember` and `closeRoom`"),
  RATE_MODERATE_BURST: burst(20, "`kickMember`, `unbanMember` and `closeRoom`"),
  RATE_RENEW_PER_SECOND: perSecond(1, "`renewToken`"),
  RATE_RENEW_BURST: burst(10, "`renewToken`"),
  RATE_ROOM_SEND_PER_SECOND: limit(2_000, 1, 100_000, "`sendMessage` per second to one room from one node"),
  RATE_ROOM_SEND_BURST: limit(4_000, 1, 1_000_000, "`sendMessage` to one room from one node at once"),
  RATE_ROOM_SIGNAL_PER_SECOND: limit(5_000, 1, 100_000, "`sendSignal` per second to one room from one node"),
  RATE_ROOM_SIGNAL_BURST: limit(10_000, 1, 1_000_000, "`sendSignal` to one room from one node at once"),
  RATE_API_PER_SECOND: limit(
    1_000,
    1,
    1_000_000,
    "calls of `/v1` per second and API key to one node; a batch counts as its messages",
  ),
  RATE_API_BURST: limit(
    5_000,
    BOUNDS.batchMessages,
    10_000_000,
    "calls of one API key to one node at once, after a quiet time",
  ),
  RATE_FRAMES_PER_SECOND: perSecond(1_000, "frames of whatever kind"),
  RATE_FRAMES_BURST: burst(5_000, "frames of whatever kind"),
  RATE_REFUSALS_PER_SECOND: limit(
    50,
    1,
    100_000,
    "requests per second and connection that may be answered `rate_limited` before it is ended",
  ),
  RATE_REFUSALS_BURST: burst(1_000, "requests answered `rate_limited`"),
  RATE_CONNECTIONS_PER_SECOND: limit(500, 1, 100_000, "new connections per second to one node"),
  RATE_CONNECTIONS_BURST: limit(1_000, 1, 1_000_000, "new connections to one node at once"),
} as const;

export type VariableName = keyof typeof VARIABLES;
type ValueOf<Row> = Row extends Variable<infer Value> ? Value : never;

/** The variables' values, each by itself right. */
export type Values = { readonly [Name in VariableName]: ValueOf<(typeof VARIABLES)[Name]> };

/** The README's table, without the lines that mark its place. */
export function variablesTable(): string {
  const rows = Object.entries<Variable<unknown>>(VARIABLES).map(([name, { shown, meaning, secret }]) => {
    const names = secret ? `\`${name}\`, \`${name}_FILE\`` : `\`${name}\``;
    return `| ${names} | ${shown} | ${meaning} |`;
  });
  return ["| variable | default | meaning |", "| --- | --- | --- |", ...rows].join("\n");
}
