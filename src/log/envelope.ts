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
  const header = new Header(bytes);
  const seq = header.number('{"seq":');
  const prev = header.number(',"prev":');
  const ts = header.number(',"ts":');
  const epoch = header.word(',"epoch":"', '",');
  if (seq === undefined || prev === undefined || ts === undefined || epoch === undefined) return undefined;
  if (!header.text(AFTER_HEADER)) return undefined;
  // The room's name stands there as JSON text, in which no quote is bare: the first match is the real one.
  const found = bytes.indexOf(BEFORE_BODY, header.at);
  if (found === -1) return undefined;
  const start = found + BEFORE_BODY.length;
  const end = bytes.length - END.length;
  if (end - start < 2 || bytes[start] !== 0x7b || bytes[end - 1] !== 0x7d) return undefined;
  if (bytes.toString("latin1", end) !== END) return undefined;
  // Copied: the bytes are a piece of a chunk of the Redis connection, which would stay in memory with it.
  return { kind: "entry", entry: { epoch, seq, ts, prev, body: Buffer.from(bytes.subarray(start, end)) } };
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

const MOST_DIGITS = 15;
const MOST_WORD = 64;

/** Walks over the fixed start of an entry's envelope. */
class Header {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  text(expected: string): boolean {
    const end = this.at + expected.length;
    if (this.#bytes.toString("latin1", this.at, end) !== expected) return false;
    this.at = end;
    return true;
  }

  number(before: string): number | undefined {
    if (!this.text(before)) return undefined;
    const start = this.at;
    let value = 0;
    for (let digit = this.#digit(); digit !== undefined; digit = this.#digit()) {
      value = value * 10 + digit;
      this.at += 1;
    }
    const digits = this.at - start;
    return digits >= 1 && digits <= MOST_DIGITS ? value : undefined;
  }

  word(before: string, after: string): string | undefined {
    if (!this.text(before)) return undefined;
    const end = this.#bytes.indexOf(0x22, this.at);
    if (end === -1 || end === this.at || end - this.at > MOST_WORD) return undefined;
    const word = this.#bytes.toString("latin1", this.at, end);
    this.at = end;
    return /^[\w-]+$/.test(word) && this.text(after) ? word : undefined;
  }

  #digit(): number | undefined {
    const byte = this.#bytes[this.at];
    return byte !== undefined && byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : undefined;
  }
}
