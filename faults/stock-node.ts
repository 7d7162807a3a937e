// Plain Socket.IO with the stock sharded adapter, as a process of its own: what Roomcast is compared with. It answers the
// requests that the kit's clients send, with nothing behind them but rooms and broadcasts.
import { createServer } from "node:http";
import { createShardedAdapter } from "@socket.io/redis-adapter";
import { Redis } from "ioredis";
import { Server } from "socket.io";

/** For the balancer to see that this node is going. */
const NOTICE_MS = 1_000;
const HOST = "127.0.0.1";

interface Sent {
  readonly room: string;
  readonly id: string;
  readonly data: unknown;
}

const { PORT, ADMIN_PORT, REDIS_URL = "", REDIS_PREFIX = "stock", NODE_NAME = "" } = process.env;
let phase: "running" | "stopping" = "running";

const publisher = new Redis(REDIS_URL);
// Without this the adapter's own subscribing ends the process during an outage.
const subscriber = new Redis(REDIS_URL, { maxRetriesPerRequest: null });
for (const redis of [publisher, subscriber]) redis.on("error", () => undefined);

const http = createServer();
const io = new Server(http, {
  adapter: createShardedAdapter(publisher, subscriber, { channelPrefix: REDIS_PREFIX, subscriptionMode: "dynamic" }),
  cookie: { name: "io_sid", path: "/" },
});
io.on("connection", (socket) => {
  socket.emit("welcome", { node: NODE_NAME });
  socket.on("joinRoom", async ({ room }: { room: string }, ack: (reply: object) => void) => {
    await socket.join(room);
    const position = { epoch: "none", seq: 0, ts: 0 };
    ack({ ok: true, room, position, recovered: false, messages: [], members: [], memberCount: 0, version: 0 });
  });
  socket.on("leaveRoom", async ({ room }: { room: string }, ack: (reply: object) => void) => {
    await socket.leave(room);
    ack({ ok: true });
  });
  socket.on("sendMessage", ({ room, id, data }: Sent, ack: (reply: object) => void) => {
    io.to(room).emit("message", { room, id, data, seq: 0, ts: Date.now(), from: { id: "somebody" } });
    ack({ ok: true, id, seq: 0, ts: 0, duplicate: false });
  });
});

const admin = createServer((_, response) => response.writeHead(phase === "running" ? 200 : 503).end());
admin.listen(Number(ADMIN_PORT), HOST);
http.listen(Number(PORT), HOST);

process.once("SIGTERM", () => {
  phase = "stopping";
  // Closes the transports of this node alone; stock clients come back by themselves.
  setTimeout(() => void io.close().finally(() => process.exit(0)), NOTICE_MS);
});
