import { createHash } from "node:crypto";
import type { RoomNews } from "../log/event-outbox.ts";
import { roomType } from "../protocol.ts";

export const WEBHOOK_EVENTS = [
  "room.occupied",
  "room.vacated",
  "member.joined",
  "member.left",
  "message.sent",
  "connection.opened",
  "connection.closed",
] as const;
export type WebhookEventType = (typeof WEBHOOK_EVENTS)[number];

/** Which events a room's news are told by. */
export const ROOM_EVENTS: Readonly<Record<RoomNews, readonly WebhookEventType[]>> = {
  messages: ["message.sent"],
  presence: ["room.occupied", "room.vacated", "member.joined", "member.left"],
};

/** In place of a room, for the connections of one life of a node: no client can name it. */
const NODE_ROOM = "_node:";
const ID_BYTES = 16;

/** One event as an endpoint receives it. */
export interface WebhookEvent {
  readonly type: WebhookEventType;
  /** The type of its room; undefined for connections. */
  readonly roomType: string | undefined;
  /** JSON text: `{"id":"evt_…","type":…,"timestamp":…,"data":{…}}`. */
  readonly json: string;
}

/** An entry of an outbox, as the scripts wrote it: `k` says what it tells of, and the others are what that has. */
export interface OutboxEntry {
  /** `<Unix milliseconds>-<n>`: unlike any other of this room. */
  readonly id: string;
  readonly fields: ReadonlyMap<string, string>;
}

export function nodeRoom(incarnation: string): string {
  return `${NODE_ROOM}${incarnation}`;
}

/** Whose connections these are; undefined where it is a room of clients. */
export function incarnationOf(room: string): string | undefined {
  return room.startsWith(NODE_ROOM) ? room.slice(NODE_ROOM.length) : undefined;
}

/**
 * What an entry is told by: an id names an event in every try, and whichever node makes it. JSON texts are put together,
 * not parsed: a message's data arrives as it was sent.
 */
export function eventsOf(room: string, { id, fields }: OutboxEntry): readonly WebhookEvent[] {
  const body = fields.get("b") ?? "{}";
  const kind = fields.get("k");
  const make = (type: WebhookEventType, what: string, data: string): WebhookEvent => ({
    type,
    roomType: incarnationOf(room) === undefined ? roomType(room) : undefined,
    json: `{"id":"${eventId(room, id, type, what)}","type":"${type}","timestamp":"${timeOf(id)}","data":${data}}`,
  });
  const name = JSON.stringify(room);
  if (kind === "message") {
    const epoch = fields.get("e") ?? "";
    const what = `${epoch} ${fields.get("s")}`;
    return [make("message.sent", what, `{"room":${name},"epoch":${JSON.stringify(epoch)},"message":${body}}`)];
  }
  if (kind === "joined" || kind === "left") {
    const [count, version] = [Number(fields.get("n")), Number(fields.get("v"))];
    const member = `{"room":${name},"user":${body},"memberCount":${count},"version":${version}}`;
    const ofRoom = `{"room":${name},"version":${version}}`;
    const what = String(version);
    if (kind === "joined") {
      const events = [make("member.joined", what, member)];
      return count === 1 ? [make("room.occupied", what, ofRoom), ...events] : events;
    }
    const events = [make("member.left", what, member)];
    return count === 0 ? [...events, make("room.vacated", what, ofRoom)] : events;
  }
  if (kind === "opened" || kind === "closed") return [make(`connection.${kind}`, body, body)];
  throw new Error(`an outbox has an entry of the unknown kind ${kind}`);
}

function eventId(room: string, entry: string, type: string, what: string): string {
  const digest = createHash("sha256")
    .update(JSON.stringify([room, entry, type, what]))
    .digest();
  return `evt_${digest.subarray(0, ID_BYTES).toString("base64url")}`;
}

function timeOf(entry: string): string {
  return new Date(Number(entry.slice(0, entry.indexOf("-")))).toISOString();
}
