import { randomUUID } from "node:crypto";
import { io } from "socket.io-client";

const RETRY_MS = 200;

/** A client of steps 2 and 3: hears everything once and in order, also what was said while it was away. */
export function enterChat(url, token, room, { onText, onTyping, onReload = () => undefined }) {
  const socket = io(url, { auth: { token }, transports: ["websocket"], forceNew: true });
  let position;
  const show = ({ from, data }) => onText(from.id, data);
  const join = () =>
    socket.emit("joinRoom", { room, since: position, history: 50 }, (ack) => {
      if (!ack.ok) return ack.error.retryable && setTimeout(join, ack.error.retryAfterMs ?? RETRY_MS);
      if (!ack.recovered) onReload();
      ack.messages.forEach(show);
      position = ack.position;
    });
  socket.on("connect", join);
  socket.on("resync", (event) => event.room === room && setTimeout(join, Math.random() * event.withinMs));
  socket.on("message", (message) => {
    if (message.room !== room) return;
    position = { ...position, seq: message.seq, ts: message.ts };
    show(message);
  });
  socket.on("signal", ({ event, from, data }) => event === "typing" && onTyping(data?.user ?? from.id));
  /** Sends until it is answered; the same id makes sure that it is said once. */
  const send = async (data, id = randomUUID()) => {
    const ack = await socket
      .timeout(4_000)
      .emitWithAck("sendMessage", { room, data, id })
      .catch(() => ({ ok: false, error: { retryable: true } }));
    if (ack.ok || !(ack.error.retryable || ack.error.code === "not_in_room"))
      return ack.ok ? {} : { error: ack.error.message };
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    return send(data, id);
  };
  return {
    socket,
    say: (text) => send(text),
    typing: () => socket.emit("sendSignal", { room, event: "typing" }),
    leave: () => socket.disconnect(),
  };
}
