// The floor: the least that a server of this kind can cost. Socket.IO in front, Roomcast's log in Redis behind it (its own
// append script), one subscription a room, and one plain write of one shared websocket frame to each member's TCP socket.
//
// Never take it for a server. No token is verified, no permission, field, size or rate is checked. Nobody is told of members.
// Who joins gets no history, and a position that is made up. An entry that was lost on the way from Redis is neither noticed
// nor fetched; a frame is written whatever Socket.IO still holds for that connection, and however much its client already
// owes. Nothing is counted or swept. PORT and REDIS_URL by environment.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { Socket as TcpSocket } from "node:net";
import { Redis } from "ioredis";
import { Server } from "socket.io";
import { RoomTypes } from "../../src/auth/room-types.ts";
import { Frame } from "../../src/feed/frame.ts";
import { decode } from "../../src/log/envelope.ts";
import { RedisLog } from "../../src/log/redis-log.ts";
import { Keys } from "../../src/redis/keys.ts";
import { restOf } from "../../src/room/draft.ts";
import { DirectWrite } from "../../src/socket/direct-write.ts";

const DEDUPE_MS = 600_000;
/** The log's bounds are a node's own: trimming is part of what an append costs. */
const { retention } = new RoomTypes({ upToMembers: 0, againBelowMembers: 0 }).of("");

interface Room {
  readonly members: Set<TcpSocket>;
  readonly subscribed: Promise<unknown>;
  /** Frames of the chunk from Redis that is being read. */
  heard: Frame[];
}

interface SendRequest {
  readonly room: string;
  readonly data: unknown;
}

const url = process.env.REDIS_URL ?? "";
const commands = new Redis(url);
const subscriber = new Redis(url);
const keys = new Keys("floor");
// Pages are never read: they need no connection of their own.
const log = new RedisLog({ commands, reads: commands, keys, dedupeMs: DEDUPE_MS });
/** By channel. */
const rooms = new Map<string, Room>();

function roomOf(name: string): Room {
  const channel = keys.channel(name);
  const known = rooms.get(channel);
  if (known !== undefined) return known;
  const room: Room = { members: new Set(), subscribed: subscriber.ssubscribe(channel), heard: [] };
  rooms.set(channel, room);
  return room;
}

/** Entries that came in one chunk leave in one write: with one each, ten at a time would cost more than Roomcast takes. */
function hear(channel: Buffer, message: Buffer): void {
  const room = rooms.get(channel.toString());
  const heard = decode(message);
  if (room === undefined || heard.kind !== "entry") return;
  room.heard.push(Frame.ofEvent("message", heard.entry.body));
  if (room.heard.length === 1) process.nextTick(deliver, room);
}

function deliver(room: Room): void {
  const { websocket } = Frame.joined(room.heard);
  room.heard = [];
  for (const member of room.members) member.write(websocket);
}

const http = createServer();
const io = new Server(http);
io.on("connection", (socket) => {
  socket.on("joinRoom", async ({ room: name }: { room: string }, ack: (answer: object) => void) => {
    const room = roomOf(name);
    await room.subscribed;
    const tcp = new DirectWrite(socket.conn).socket;
    if (tcp === undefined) throw new Error("the floor speaks by websocket only");
    room.members.add(tcp);
    socket.once("disconnect", () => room.members.delete(tcp));
    ack({ ok: true, position: { epoch: "", seq: 0, ts: 0 } });
  });
  socket.on("sendMessage", async ({ room, data }: SendRequest, ack: (answer: object) => void) => {
    const [id, sender] = [randomUUID(), socket.id];
    const rest = restOf({ room, id, from: { id: sender }, event: "message", data: JSON.stringify(data) });
    const stored = await log.append(room, { space: "u", sender, id, rest, known: undefined, retention });
    ack({ ok: true, id, seq: stored.seq, ts: stored.ts, duplicate: stored.duplicate });
  });
});
subscriber.on("smessageBuffer", hear);
await once(commands, "ready");
http.listen(Number(process.env.PORT), "127.0.0.1");
