import type { Socket as TcpSocket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Socket as NodeSocket } from "socket.io";
import type { Socket } from "socket.io-client";
import { expect, it } from "vitest";
import { connectClient } from "../support/client.ts";
import { startEmbedded } from "../support/embedded.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithRedis } from "../support/redis.ts";
import { signToken } from "../support/token.ts";

const MIB = 1024 * 1024;
/** `ws` gives up a client that does not answer its close frame after 30 s: here it must be long before. */
const CUT = { withinMs: 10_000 };

/** The TCP connection of a client's websocket, and at its other end that of the node. */
async function connectUnread(env: Record<string, string>): Promise<{ socket: NodeSocket; tcp: TcpSocket }> {
  const { url, node } = await startEmbedded({ env });
  const connected = new Promise<NodeSocket>((resolve) => node.io.once("connection", resolve));
  const { socket: client } = await connectClient(url, await signToken(), {
    transports: ["websocket"],
    reconnection: false,
  });
  tcpOf(client.io.engine.transport).pause();
  const socket = await connected;
  return { socket, tcp: tcpOf({ ws: (socket.conn.transport as unknown as { socket: unknown }).socket }) };
}

function tcpOf(transport: Socket["io"]["engine"]["transport"] | { ws: unknown }): TcpSocket {
  return (transport as unknown as { ws: { _socket: TcpSocket } }).ws._socket;
}

describeWithRedis("what a client leaves unread", () => {
  it("[G6] counts for the node's bound also after its connection has ended", async () => {
    const env = { MAX_OUTBOUND_BYTES: String(16 * MIB), MAX_OUTBOUND_BYTES_PER_NODE: String(MIB) };
    const { socket, tcp } = await connectUnread(env);
    for (let n = 0; n < 24; n++) socket.emit("large", "x".repeat(MIB));
    socket.disconnect(true);
    expect(tcp.writableLength).toBeGreaterThan(MIB);
    await eventually(() => expect(tcp.destroyed).toBe(true), CUT);
  });

  it("[G6] does not grow by what the application says may be lost, as with Socket.IO itself", async () => {
    const { socket, tcp } = await connectUnread({});
    for (let n = 0; n < 60; n++) {
      socket.volatile.emit("position", "x".repeat(200_000));
      await nextTurn();
    }
    expect(socket.connected).toBe(true);
    expect(tcp.writableLength).toBeGreaterThan(0);
    expect(tcp.writableLength).toBeLessThan(MIB / 2);
  });
});
