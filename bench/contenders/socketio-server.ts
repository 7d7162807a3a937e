// A room server as one writes it with Socket.IO: `enter` a room, `publish` to it with an acknowledgement. PORT, REDIS_URL, and
// ADAPTER (classic, sharded, streams) by environment.
import { createServer } from "node:http";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { Redis } from "ioredis";
import { type DefaultEventsMap, Server, type ServerOptions } from "socket.io";

async function adapter(kind: string, url: string): Promise<Partial<ServerOptions>> {
  const publisher = new Redis(url);
  if (kind === "classic") return { adapter: createAdapter(publisher, new Redis(url)) };
  if (kind === "sharded") {
    return { adapter: createShardedAdapter(publisher, new Redis(url), { subscriptionMode: "dynamic" }) };
  }
  const streams = await import("@socket.io/redis-streams-adapter");
  return { adapter: streams.createAdapter(publisher) as ServerOptions["adapter"] };
}

interface SocketData {
  sent: number;
}

const http = createServer();
const options = await adapter(process.env.ADAPTER ?? "sharded", process.env.REDIS_URL ?? "");
const io = new Server<DefaultEventsMap, DefaultEventsMap, DefaultEventsMap, SocketData>(http, options);
io.on("connection", (socket) => {
  socket.on("enter", async (room: string, ack: (answer: object) => void) => {
    await socket.join(room);
    ack({ ok: true });
  });
  // The fields are those of Roomcast's message, so that as many bytes travel.
  socket.on("publish", (room: string, data: unknown, ack: (answer: object) => void) => {
    socket.data.sent = (socket.data.sent ?? 0) + 1;
    const id = `${socket.id}-${socket.data.sent}`;
    const from = { id: socket.id };
    io.to(room).emit("message", { room, seq: 0, id, ts: Date.now(), from, event: "message", data });
    ack({ ok: true, id });
  });
});
http.listen(Number(process.env.PORT), "127.0.0.1");
