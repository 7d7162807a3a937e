import { io } from "socket.io-client";

/** A client of steps 0, 1 and 2. */
export function enterChat(url, token, room, { onText, onTyping }) {
  const socket = io(url, { auth: { token }, transports: ["websocket"], forceNew: true });
  socket.on("connect", () => socket.emit("enter", room, () => undefined));
  socket.on("said", ({ user, text }) => onText(user, text));
  socket.on("typing", ({ user }) => onTyping(user));
  return {
    socket,
    say: (text) => socket.emitWithAck("say", room, text),
    typing: () => socket.emit("typing", room),
    leave: () => socket.disconnect(),
  };
}
