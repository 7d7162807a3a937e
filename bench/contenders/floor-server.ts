// The floor: the least that a server of this kind can cost. Socket.IO in front, a verified token and a seat in Redis for
// whoever joins (Roomcast's own verifier and join script), Roomcast's log in Redis (its own append script), one subscription
// a room, and one write of one shared websocket frame to each member's TCP socket, by its file descriptor.
//
// Never take it for a server. No permission, field, size or rate is checked. Nobody is told who comes later, and a seat is
// never given up. Who joins gets no history. An entry that was lost on the way from Redis is neither noticed nor fetched; a frame
// is written whatever Socket.IO still holds for that connection, and however much its client already owes. Nothing is
// counted or swept. PORT and REDIS_URL by environment.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Redis } from "ioredis";
import { Server } from "socket.io";
import { RoomTypes } from "../../src/auth/room-types.ts";
import { TokenVerifier } from "../../src/auth/tokens.ts";
import { Frame } from "../../src/feed/frame.ts";
import { decode } from "../../src/log/envelope.ts";
import { RedisLog } from "../../src/log/redis-log.ts";
import { RedisPresence } from "../../src/presence/redis-presence.ts";
import { Keys } from "../../src/redis/keys.ts";
import { restOf } from "../../src/room/draft.ts";
import { DirectWrite } from "../../src/socket/direct-write.ts";
import type { FdWriter } from "../../src/socket/fd-writer.ts";
import { corkUpgrades } from "../../src/socket/turn-cork.ts";
import { TOKEN_SECRET } from "../load/token.ts";

const DEDUPE_MS = 600_000;
/** The log's bounds are a node's own: trimming is part of what an append costs. */
const { retention } = new RoomTypes({ upToMembers: 0, againBelowMembers: 0 }).of("");

interface Room {
  readonly members: Set<FdWriter>;
  readonly subscribed: Promise<void>;
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
const presence = new RedisPresence({
  ...{ commands, reads: commands, keys, dedupeMs: DEDUPE_MS },
  incarnation: { current: "floor" },
});
const verifier = new TokenVerifier({
  keys: { kind: "secrets", secrets: [new TextEncoder().encode(TOKEN_SECRET)], generated: false },
  issuer: undefined,
  audience: undefined,
});
/** By channel. */
const rooms = new Map<string, Room>();

/** Channels that one turn of the loop wants, which are subscribed to by one call. */
let gathered: { readonly channels: string[]; readonly subscribed: Promise<void> } | undefined;

function subscribe(channel: string): Promise<void> {
  if (gathered === undefined) {
    const channels: string[] = [];
    const subscribed = nextTurn().then(async () => {
      gathered = undefined;
      await subscriber.ssubscribe(...channels);
    });
    gathered = { channels, subscribed };
  }
  gathered.channels.push(channel);
  return gathered.subscribed;
}

function roomOf(name: string): Room {
  const channel = keys.channel(name);
  const known = rooms.get(channel);
  if (known !== undefined) return known;
  const room: Room = { members: new Set(), subscribed: subscribe(channel), heard: [] };
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
corkUpgrades(io.engine);
io.use((socket, next) => {
  verifier.verify(String(socket.handshake.auth.token)).then(({ user }) => {
    socket.data.user = user;
    next();
  }, next);
});
io.on("connection", (socket) => {
  const user = String(socket.data.user);
  const entered = new Set<Room>();
  let way: DirectWrite | undefined;
  socket.once("disconnect", () => {
    const writer = way?.writer;
    if (writer !== undefined) for (const { members } of entered) members.delete(writer);
  });
  socket.on("joinRoom", async ({ room: name }: { room: string }, ack: (answer: object) => void) => {
    const room = roomOf(name);
    await room.subscribed;
    const seat = { room: name, connection: socket.id, user, name: undefined, state: undefined };
    // Where it is found should this node die: nobody takes seats of the dead otherwise.
    const noted = presence.noteRoom(name);
    const joined = presence.join({ ...seat, attempt: 1, maxMembers: 0, retention, tells: "nobody" });
    const [{ position, members, memberCount }] = await Promise.all([joined, noted]);
    way ??= new DirectWrite(socket.conn);
    const { writer } = way;
    if (writer === undefined) throw new Error("the floor speaks by websocket only");
    room.members.add(writer);
    entered.add(room);
    ack({ ok: true, position, members, memberCount });
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
