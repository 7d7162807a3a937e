import type { IncomingMessage } from "node:http";
import type { Socket as TcpSocket } from "node:net";
import type { Engine } from "./engine.ts";

/**
 * What this turn of the loop writes to a connection leaves at its end by one system call. A join is mostly writes: three
 * of them instead of five (docs/performance.md).
 */
export function corkTurn(tcp: TcpSocket): void {
  tcp.cork();
  setImmediate(() => tcp.uncork());
}

/**
 * The same for what one callback of the loop writes to a connection, with all that is resolved by it. Nothing waits for what the turn
 * does for others: writing to the members of a large room takes milliseconds.
 */
export function corkCallback(tcp: TcpSocket): void {
  if (tcp.writableCorked > 0) return;
  tcp.cork();
  process.nextTick(() => tcp.uncork());
}

/** Engine.IO ends any other in the turn of its opening, and what is corked then would never leave. */
const PROTOCOL = /[?&]EIO=4(?:&|$)/;

/** The answer to a websocket's upgrade leaves together with Engine.IO's first packet, which comes in the same turn. */
export function corkUpgrades(engine: Engine): void {
  engine.on("initial_headers", (_headers: object, { headers, socket, url = "" }: IncomingMessage) => {
    if (headers.upgrade !== undefined && PROTOCOL.test(url)) corkTurn(socket);
  });
}
