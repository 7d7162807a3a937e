import { readFileSync } from "node:fs";
import * as z from "zod";
import { readFailure } from "../environment.ts";
import { checkFields } from "../fields.ts";
import type { RoomNews } from "../log/event-outbox.ts";
import { isLoopbackHost } from "../loopback.ts";
import { roomNameProblem, roomType } from "../protocol.ts";
import { ROOM_EVENTS, WEBHOOK_EVENTS, type WebhookEventType } from "./events.ts";

/** Endpoints of one cluster: each has a queue, and on every node two connections to Redis. */
const MAX_ENDPOINTS = 20;
const MAX_SECRETS = 5;
const SECRET_PREFIX = "whsec_";
/** As Standard Webhooks has it. */
const SECRET_BYTES = { min: 24, max: 64 };
/** Batches of full size that an endpoint's queue must have room for. */
const BATCHES_QUEUED = 4;
const KIB = 1024;
const MIB = 1024 * KIB;
const DAY_SECONDS = 24 * 60 * 60;

/** A receiver of events: everything checked. */
export interface Endpoint {
  readonly name: string;
  readonly url: URL;
  /** Every delivery is signed by each of them, so that a receiver may know either one while they are replaced. */
  readonly secrets: readonly Uint8Array[];
  readonly events: ReadonlySet<WebhookEventType>;
  /** Undefined: all. Connections are of no room. */
  readonly roomTypes: ReadonlySet<string> | undefined;
  readonly maxBatchEvents: number;
  /** Bytes of the events of one delivery; a single event may be larger. */
  readonly maxBatchBytes: number;
  readonly timeoutMs: number;
  /** How long a delivery is tried before it is dead. */
  readonly retryMs: number;
  /** Deliveries under way at once, of one node. */
  readonly parallel: number;
  /** Bytes of what waits for this endpoint, in Redis; past it events are dropped, and counted. */
  readonly maxQueuedBytes: number;
  /** Dead deliveries that are kept; past it the oldest are dropped, and counted. */
  readonly maxDead: number;
}

const endpointSchema = z.strictObject({
  url: z.string(),
  secrets: z.array(z.string()).min(1).max(MAX_SECRETS).optional(),
  secretFiles: z.array(z.string()).min(1).max(MAX_SECRETS).optional(),
  events: z.array(z.enum(WEBHOOK_EVENTS)).min(1),
  roomTypes: z.array(z.string()).min(1).optional(),
  maxBatchEvents: z.int().min(1).max(1_000).default(100),
  maxBatchBytes: z
    .int()
    .min(KIB)
    .max(MIB)
    .default(256 * KIB),
  timeoutMs: z.int().min(100).max(15_000).default(10_000),
  retrySeconds: z
    .int()
    .min(1)
    .max(7 * DAY_SECONDS)
    .default(DAY_SECONDS),
  parallel: z.int().min(1).max(64).default(2),
  maxQueuedBytes: z
    .int()
    .min(4 * KIB)
    .max(16 * 1024 * MIB)
    .default(256 * MIB),
  maxDead: z.int().min(1).max(100_000).default(1_000),
});
type Settings = z.output<typeof endpointSchema>;

/** Which endpoint wants what. */
export class Endpoints {
  readonly all: readonly Endpoint[];
  readonly #wanting = new Map<string, readonly Endpoint[]>();

  constructor(all: readonly Endpoint[]) {
    this.all = all;
  }

  /** The service's own rooms are nobody's. */
  wantsNews(room: string, news: RoomNews): boolean {
    const type = roomType(room);
    if (type.startsWith("_")) return false;
    return ROOM_EVENTS[news].some((event) => this.of(event, type).length > 0);
  }

  get wantConnections(): boolean {
    const { length } = [...this.of("connection.opened", undefined), ...this.of("connection.closed", undefined)];
    return length > 0;
  }

  /** Who wants events of this type; `type` is that of the room, undefined where the event is of none. */
  of(event: WebhookEventType, type: string | undefined): readonly Endpoint[] {
    const named = this.all.some(({ roomTypes }) => type !== undefined && roomTypes?.has(type));
    // Types that no endpoint names are alike: whatever clients call their rooms, this does not grow.
    const key = `${event} ${named ? type : ""} ${type === undefined}`;
    const known = this.#wanting.get(key);
    if (known !== undefined) return known;
    const found = this.all.filter(
      ({ events, roomTypes }) =>
        events.has(event) && (type === undefined || roomTypes === undefined || roomTypes.has(type)),
    );
    this.#wanting.set(key, found);
    return found;
  }
}

/**
 * Makes the endpoints from what the file of `WEBHOOKS` holds. Answers every problem, each beginning with the place in the
 * file, e.g. `billing.url must …`; a secret is part of none.
 */
export function parseEndpoints(
  file: unknown,
  production: boolean,
): { ok: true; endpoints: readonly Endpoint[] } | { ok: false; problems: readonly string[] } {
  if (typeof file !== "object" || file === null || Array.isArray(file)) {
    return { ok: false, problems: ["the file must hold a JSON object: an endpoint for each name"] };
  }
  const problems: string[] = [];
  const endpoints: Endpoint[] = [];
  const entries = Object.entries(file);
  if (entries.length > MAX_ENDPOINTS) problems.push(`the file must hold at most ${MAX_ENDPOINTS} endpoints`);
  for (const [name, value] of entries) {
    if (!/^[a-z0-9-]{1,64}$/.test(name)) {
      problems.push(`the name ${JSON.stringify(name)} must be 1 to 64 characters of a-z, 0-9 and -`);
      continue;
    }
    const checked = checkFields(endpointSchema, value, name, [name]);
    if (!checked.ok) {
      problems.push(...checked.problems);
      continue;
    }
    const settings = checked.value;
    const url = urlOf(settings.url, production);
    const secrets = secretsOf(settings);
    if (settings.maxQueuedBytes < BATCHES_QUEUED * settings.maxBatchBytes) {
      problems.push(`${name}.maxQueuedBytes must be at least ${BATCHES_QUEUED} times maxBatchBytes`);
    }
    const wrong = [...(url instanceof URL ? [] : [url]), ...secrets.problems, ...roomTypeProblems(settings)];
    problems.push(...wrong.map((problem) => `${name}.${problem}`));
    if (url instanceof URL && wrong.length === 0) endpoints.push(endpointOf(name, url, secrets.keys, settings));
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, endpoints };
}

function endpointOf(name: string, url: URL, secrets: readonly Uint8Array[], settings: Settings): Endpoint {
  const { events, roomTypes, retrySeconds, timeoutMs, parallel, maxDead } = settings;
  const { maxBatchEvents, maxBatchBytes, maxQueuedBytes } = settings;
  return {
    name,
    url,
    secrets,
    events: new Set(events),
    roomTypes: roomTypes === undefined ? undefined : new Set(roomTypes),
    maxBatchEvents,
    maxBatchBytes,
    timeoutMs,
    retryMs: retrySeconds * 1_000,
    parallel,
    maxQueuedBytes,
    maxDead,
  };
}

/** The URL, or what is wrong with it. */
function urlOf(text: string, production: boolean): URL | string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) return "url must be an http:// or https:// URL";
  if (url.username !== "" || url.password !== "") return "url must hold no user and no password";
  if (production && url.protocol === "http:" && !isLoopbackHost(url.host)) {
    return "url must be https:// in production, unless it is on loopback";
  }
  return url;
}

function secretsOf({ secrets, secretFiles }: Settings): { keys: readonly Uint8Array[]; problems: readonly string[] } {
  if ((secrets === undefined) === (secretFiles === undefined)) {
    return { keys: [], problems: ["secrets or secretFiles must be there, and not both"] };
  }
  const keys: Uint8Array[] = [];
  const problems: string[] = [];
  for (const [index, text] of (secrets ?? secretFiles ?? []).entries()) {
    const place = `${secrets === undefined ? "secretFiles" : "secrets"}[${index}]`;
    try {
      const secret = secrets === undefined ? readFileSync(text, "utf8").trim() : text;
      const key = keyOf(secret);
      if (key === undefined) {
        problems.push(`${place} must be whsec_ and the base64 of ${SECRET_BYTES.min} to ${SECRET_BYTES.max} bytes`);
      } else keys.push(key);
    } catch (error) {
      problems.push(`${place} names a file that cannot be read (${readFailure(error)}): ${text}`);
    }
  }
  return { keys, problems };
}

function keyOf(secret: string): Uint8Array | undefined {
  const base64 = secret.slice(SECRET_PREFIX.length);
  if (!secret.startsWith(SECRET_PREFIX) || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined;
  const bytes = Buffer.from(base64, "base64");
  return bytes.length >= SECRET_BYTES.min && bytes.length <= SECRET_BYTES.max ? bytes : undefined;
}

function roomTypeProblems({ roomTypes, events }: Settings): string[] {
  const problems: string[] = [];
  if (roomTypes !== undefined && events.every((event) => event.startsWith("connection."))) {
    problems.push("roomTypes must not be there: connections are of no room");
  }
  for (const [index, type] of (roomTypes ?? []).entries()) {
    const problem = type.includes(":")
      ? "must not contain a colon: a type is what stands before it"
      : roomNameProblem(`${type}:`);
    if (problem !== undefined) problems.push(`roomTypes[${index}] ${problem}`);
  }
  return problems;
}
