// Before: a chat on Express, Socket.IO and the sharded Redis adapter, as there are many.
import { createServer } from "node:http";
import { createShardedAdapter } from "@socket.io/redis-adapter";
import express from "express";
import { Redis } from "ioredis";
import { jwtVerify } from "jose";
import { Server } from "socket.io";

const secret = new TextEncoder().encode(process.env.JWT_SECRET);
const redis = [new Redis(process.env.REDIS_URL), new Redis(process.env.REDIS_URL)];

const app = express();
app.get("/health", (_request, response) => response.json({ ok: true }));
const server = createServer(app);
const io = new Server(server, {
  adapter: createShardedAdapter(...redis, { channelPrefix: process.env.REDIS_PREFIX, subscriptionMode: "dynamic" }),
});

io.use(async (socket, next) => {
  try {
    const { payload } = await jwtVerify(socket.handshake.auth.token, secret);
    socket.data.user = payload.sub;
    next();
  } catch {
    next(new Error("unauthorized"));
  }
});

io.on("connection", (socket) => {
  socket.on("enter", async (room, ack) => {
    if (!room.startsWith("chat:")) return ack({ error: "no such room" });
    await socket.join(room);
    ack({});
  });
  socket.on("say", (room, text, ack) => {
    if (text.trim() === "") return ack({ error: "say something" });
    io.to(room).emit("said", { room, user: socket.data.user, text: text.trim() });
    ack({});
  });
  socket.on("typing", (room) => socket.to(room).emit("typing", { room, user: socket.data.user }));
});

server.listen(process.env.PORT, "127.0.0.1", () => process.stdout.write(`listening on ${server.address().port}\n`));
process.once("SIGTERM", () => io.close(() => process.exit(0)));
