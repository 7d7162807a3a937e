// Step 1: Roomcast's Socket.IO server in place of one's own. Events, rooms and clients are as they were.
import { createServer } from "node:http";
import express from "express";
import { createNode, parseConfig } from "roomcast";

const app = express();
app.get("/health", (_request, response) => response.json({ ok: true }));
const server = createServer(app);
// Verifies the tokens (JWT_SECRET) and brings the adapter (REDIS_URL, REDIS_PREFIX): both are gone from here.
const node = createNode({ config: parseConfig(process.env), server, app });
const { io } = node;

io.use((socket, next) => {
  socket.data.user = node.identityOf(socket).user;
  next();
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

const { port } = await node.start();
process.stdout.write(`listening on ${port}\n`);
process.once("SIGTERM", () => node.stop().then(() => process.exit(0)));
