import type { IncomingMessage } from "node:http";
import type { Socket as TcpSocket } from "node:net";
import type { Server } from "socket.io";

/**
 * What this turn of the loop writes to a connection leaves at its end by one system call. A join is mostly writes: three
 * of them instead of five (docs/performance.md).
 */
export function corkTurn(tcp: TcpSocket): void {
  tcp.cork();
  setImmediate(() => tcp.uncork());
}

/** The answer to a websocket's upgrade leaves together with Engine.IO's first packet, which comes in the same turn. */
export function corkUpgrades(engine: Server["engine"]): void {
  engine.on("initial_headers", (_headers: object, { headers, socket }: IncomingMessage) => {
    if (headers.upgrade !== undefined) corkTurn(socket);
  });
}
