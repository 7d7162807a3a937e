// A support desk: an Express app with its own log-in, routes and socket events, and a Roomcast node inside.
import { createServer } from "node:http";
import express from "express";
import { SignJWT } from "jose";
import { createNode, parseConfig, RoomcastError } from "roomcast";

const secret = new TextEncoder().encode(process.env.JWT_SECRET);
const TOKEN_MINUTES = 15;
const tickets = new Map([["7", { title: "The printer is on fire", customer: "ada" }]]);

const app = express();
const server = createServer(app);
const node = createNode({
  config: parseConfig(process.env),
  server,
  app,
  hooks: {
    // Who may see a ticket is for the application to say, not for tokens.
    authorize: ({ user, room }) => {
      const ticket = tickets.get(room.replace(/^ticket:/, ""));
      if (ticket === undefined || (ticket.customer !== user && !user.startsWith("agent-"))) return false;
      return { permissions: ["join", "send", "signal", "history"], holdSeconds: 60 };
    },
    beforeSend: ({ room, data }) => {
      if (tickets.get(room.replace(/^ticket:/, ""))?.closed)
        throw new RoomcastError("forbidden", "the ticket is closed");
      return { data: { text: String(data?.text ?? "") } };
    },
  },
});

app.use(express.json());
// In earnest: behind a password. The token says who it is; what that one may do is asked above.
app.post("/login", async (request, response) => {
  const token = await new SignJWT({})
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(String(request.body.user))
    .setExpirationTime(`${TOKEN_MINUTES}m`)
    .sign(secret);
  response.json({ token });
});
app.post("/tickets/:id/close", async (request, response) => {
  const ticket = tickets.get(request.params.id);
  if (ticket === undefined) return response.sendStatus(404);
  ticket.closed = true;
  const { seq } = await node.rooms.send(`ticket:${request.params.id}`, { event: "closed", data: null });
  response.json({ seq });
});
app.get("/tickets/:id/online", async (request, response) => {
  const { members } = await node.rooms.members(`ticket:${request.params.id}`);
  response.json(members.map(({ id }) => id));
});

// An event of one's own, in the same connection.
node.io.on("connection", (socket) => {
  socket.on("myTickets", (ack) => {
    const { user } = node.identityOf(socket);
    ack([...tickets].filter(([, { customer }]) => customer === user).map(([id]) => id));
  });
});

const { port } = await node.start();
process.stdout.write(`listening on ${port}\n`);
process.once("SIGTERM", () => node.stop().then(() => process.exit(0)));
