// Step 3: the old clients are gone, and with them all events of one's own. What is left are the rules.
import { createServer } from "node:http";
import express from "express";
import { createNode, parseConfig, RoomcastError } from "roomcast";

const app = express();
app.get("/health", (_request, response) => response.json({ ok: true }));
const server = createServer(app);
const node = createNode({
  config: parseConfig(process.env),
  server,
  app,
  hooks: {
    authorize: ({ room }) => room.startsWith("chat:") && { permissions: ["join", "send", "signal", "history"] },
    beforeSend: ({ data }) => {
      if (typeof data !== "string" || data.trim() === "") throw new RoomcastError("bad_request", "say something");
      return { data: data.trim() };
    },
  },
});

const { port } = await node.start();
process.stdout.write(`listening on ${port}\n`);
process.once("SIGTERM", () => node.stop().then(() => process.exit(0)));
