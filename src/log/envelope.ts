import type { Member, PresenceChange } from "../presence/presence.ts";
import type { Entry } from "./room-log.ts";

/**
 * The wire format on a room's channel. It is the sharded adapter's (a broadcast of one packet, in JSON), so that a
 * plain Socket.IO node delivers it too, with a header of ours in front: a node of ours slices bytes instead of parsing.
 *
 *     {"seq":12,"prev":1690,"ts":1691,"epoch":"…","uid":"roomcast","nsp":"/","type":3,
 *      "data":{"opts":{"rooms":["chat:42"],"except":[],"flags":{}},
 *              "packet":{"type":2,"nsp":"/","data":["message",{"seq":12,"ts":1691,"room":"chat:42",…}]}}}
 */
export type Heard =
  | { readonly kind: "entry"; readonly entry: Entry }
  | { readonly kind: "presence"; readonly change: PresenceChange }
  | { readonly kind: "stock" };

const STOCK: Heard = { kind: "stock" };
const AFTER_HEADER = '"uid":"roomcast","nsp":"/","type":3,"data":{"opts":{"rooms":[';
/** Numbers of at most 15 digits are exact; an epoch has at most `BOUNDS.epochBytes`. */
const HEADER = new RegExp(
  `^\\{"seq":(\\d{1,15}),"prev":(\\d{1,15}),"ts":(\\d{1,15}),"epoch":"([\\w-]{1,64})",${AFTER_HEADER.replaceAll(/[[\]{}]/g, "\\$&")}`,
);
/** More than the longest start. */
const MOST_HEADER_BYTES = 256;
const BEFORE_BODY = Buffer.from('],"except":[],"flags":{}},"packet":{"type":2,"nsp":"/","data":["message",');
const END = "]}}}";
const PRESENCE_START = '{"version":';
const PRESENCE_EVENTS = new Set(["userJoined", "userLeft", "userUpdated"]);

/** What stands between the header and the body of a room's entries. */
export function entryEnvelope(room: string): string {
  return `,${AFTER_HEADER}${JSON.stringify(room)}${BEFORE_BODY}`;
}

/** Reads what came on a room's channel. What is not ours, or only looks like it, is for the stock adapter. */
export function decode(bytes: Buffer): Heard {
  return decodeEntry(bytes) ?? decodePresence(bytes) ?? STOCK;
}

function decodeEntry(bytes: Buffer): Heard | undefined {
  // One look at the fixed start: each slice that is made of the bytes costs more than matching it.
  const [header, seq, prev, ts, epoch] = HEADER.exec(bytes.toString("latin1", 0, MOST_HEADER_BYTES)) ?? [];
  if (header === undefined || epoch === undefined) return undefined;
  // The room's name stands there as JSON text, in which no quote is bare: the first match is the real one.
  const found = bytes.indexOf(BEFORE_BODY, header.length);
  if (found === -1) return undefined;
  const start = found + BEFORE_BODY.length;
  const end = bytes.length - END.length;
  if (end - start < 2 || bytes[start] !== 0x7b || bytes[end - 1] !== 0x7d) return undefined;
  if (bytes.toString("latin1", end) !== END) return undefined;
  // Copied: the bytes are a piece of a chunk of the Redis connection, which would stay in memory with it.
  const body = Buffer.from(bytes.subarray(start, end));
  return { kind: "entry", entry: { epoch, seq: Number(seq), ts: Number(ts), prev: Number(prev), body } };
}

function decodePresence(bytes: Buffer): Heard | undefined {
  if (bytes.toString("latin1", 0, PRESENCE_START.length) !== PRESENCE_START) return undefined;
  let message: unknown;
  try {
    message = JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
  if (!isRecord(message) || message.uid !== "roomcast" || !isRecord(message.data)) return undefined;
  const { version, count, by, data } = message;
  if (!isRecord(data.packet) || !Array.isArray(data.packet.data)) return undefined;
  const [kind, payload] = data.packet.data as unknown[];
  if (!isCount(version) || !isCount(count) || typeof by !== "string" || !isRecord(payload)) return undefined;
  if (!isPresenceEvent(kind) || !isMember(payload.user)) return undefined;
  return { kind: "presence", change: { kind, user: payload.user, memberCount: count, version, by } };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isPresenceEvent(value: unknown): value is PresenceChange["kind"] {
  return typeof value === "string" && PRESENCE_EVENTS.has(value);
}

function isMember(value: unknown): value is Member {
  if (!isRecord(value) || typeof value.id !== "string") return false;
  return (
    (value.name === undefined || typeof value.name === "string") && (value.state === undefined || isRecord(value.state))
  );
}
