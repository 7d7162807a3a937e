import type { Socket as TcpSocket } from "node:net";
import type { Socket } from "socket.io-client";

/** Breaks the connection under a stock client as a network does: without a word. A poll has none of its own to break. */
export function cutTcp(socket: Socket): void {
  const { engine } = socket.io;
  if (engine.transport.name !== "websocket") {
    engine.close();
    return;
  }
  // The client's types do not give it out.
  (engine.transport as unknown as { ws: { _socket: TcpSocket } }).ws._socket.destroy();
}
