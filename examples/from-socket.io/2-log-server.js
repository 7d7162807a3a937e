// Step 2: what is said goes into the room's log as well. Old clients are served as before; new ones may come.
import { createServer } from "node:http";
import express from "express";
import { createNode, parseConfig, RoomcastError } from "roomcast";

function checked(text) {
  if (typeof text !== "string" || text.trim() === "") throw new RoomcastError("bad_request", "say something");
  return text.trim();
}

const app = express();
app.get("/health", (_request, response) => response.json({ ok: true }));
const server = createServer(app);
const node = createNode({
  config: parseConfig(process.env),
  server,
  app,
  hooks: {
    // The rule of "enter", for tokens that know nothing of rooms.
    authorize: ({ room }) => room.startsWith("chat:") && { permissions: ["join", "send", "signal", "history"] },
    // The rule of "say", for clients that send by `sendMessage`.
    beforeSend: ({ data }) => ({ data: checked(data) }),
    // Whatever was stored, for the old clients: on every node, by the adapter, at most once as ever.
    afterSend: ({ room, event, from, data }) => {
      if (event === "message") node.io.to(`old:${room}`).emit("said", { room, user: from.id, text: data });
    },
  },
});
const { io } = node;

io.on("connection", (socket) => {
  const { user } = node.identityOf(socket);
  socket.on("enter", async (room, ack) => {
    if (!room.startsWith("chat:")) return ack({ error: "no such room" });
    // A room of the old clients' own: in that of the new ones they would hear everything twice.
    await socket.join(`old:${room}`);
    ack({});
  });
  socket.on("say", async (room, text, ack) => {
    try {
      await node.rooms.send(room, { data: checked(text), from: { id: user } });
      ack({});
    } catch (error) {
      ack({ error: error.message });
    }
  });
  socket.on("typing", async (room) => {
    socket.to(`old:${room}`).emit("typing", { room, user });
    await node.rooms.signal(room, { event: "typing", data: { user } }).catch(() => undefined);
  });
  // Roomcast serves it too. Whoever is in the room by `joinRoom` is in the Socket.IO room of that name.
  socket.on("sendSignal", (signal) => {
    const room = signal?.room;
    if (signal?.event === "typing" && socket.rooms.has(room)) io.to(`old:${room}`).emit("typing", { room, user });
  });
});

const { port } = await node.start();
process.stdout.write(`listening on ${port}\n`);
process.once("SIGTERM", () => node.stop().then(() => process.exit(0)));
