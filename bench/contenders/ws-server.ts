// The least that passes messages on: a set of websockets for each room and a loop. It promises nothing.
import { type WebSocket, WebSocketServer } from "ws";

type Request = { readonly enter: string } | { readonly room: string; readonly data: unknown };

const rooms = new Map<string, Set<WebSocket>>();
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.env.PORT), perMessageDeflate: false });
let sent = 0;

server.on("connection", (socket) => {
  const entered: Set<WebSocket>[] = [];
  socket.on("message", (text) => {
    const request = JSON.parse(text.toString()) as Request;
    if ("enter" in request) {
      const members = rooms.get(request.enter) ?? new Set();
      rooms.set(request.enter, members.add(socket));
      entered.push(members);
      socket.send('{"ok":true}');
      return;
    }
    const { room, data } = request;
    const id = String(++sent);
    const message = JSON.stringify({ room, seq: 0, id, ts: Date.now(), from: { id: "x" }, event: "message", data });
    socket.send('{"ok":true}');
    for (const member of rooms.get(room) ?? []) member.send(message);
  });
  socket.on("close", () => {
    for (const members of entered) members.delete(socket);
  });
});
