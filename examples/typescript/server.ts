// A Roomcast node inside an Express app, in TypeScript: everything that is used here is typed by the package itself.
import { createServer } from "node:http";
import express from "express";
import { createNode, type Hooks, type Message, parseConfig, RoomcastError, type RoomcastNode } from "roomcast";

const MOST_WORDS = 1_000;

const hooks: Hooks = {
  beforeJoin: ({ room, user }) => {
    if (room === "chat:staff" && !user.id.startsWith("staff-")) throw new RoomcastError("forbidden", "staff only");
  },
  beforeSend: ({ data }) => {
    if (typeof data !== "string") throw new RoomcastError("bad_request", "data must be a text");
    if (data.split(" ").length > MOST_WORDS) throw new RoomcastError("payload_too_large", "that is a novel");
    return { data: data.trim() };
  },
  afterSend: ({ room, seq }: Message) => {
    process.stdout.write(`stored ${room} ${seq}\n`);
  },
};

async function main(): Promise<void> {
  const app = express();
  const node: RoomcastNode = createNode({ config: parseConfig(process.env), server: createServer(app), app, hooks });
  app.post("/orders/:id/shipped", async (request, response) => {
    const { id } = request.params;
    // The same id, whatever happens in between: members see it once.
    const { seq } = await node.rooms.send(`orders:${id}`, { id: `${id}-shipped`, data: { state: "shipped" } });
    response.json({ seq });
  });
  node.io.on("connection", (socket) => {
    socket.on("whoami", (ack: (user: string) => void) => ack(node.identityOf(socket).user));
  });
  const { port } = await node.start();
  process.stdout.write(`listening on ${port}\n`);
  process.once("SIGTERM", () => {
    node.stop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  });
}

main().catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exitCode = 1;
});
