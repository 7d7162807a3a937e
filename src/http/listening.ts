import type { Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { sharedListener } from "../shared-listener.ts";

/** Resolves once the server listens; rejects where it cannot. */
export function listen(server: HttpServer | HttpsServer, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** Ends the listening and every connection. */
export async function closed(server: HttpServer | undefined): Promise<void> {
  if (server === undefined) return;
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

/** Where a server listens. */
export function portOf(server: HttpServer | HttpsServer): number {
  return (server.address() as AddressInfo).port;
}

/** The TCP connections of a server: it forgets those that became websockets. */
export class TcpConnections {
  readonly #open = new Set<Socket>();

  constructor(server: HttpServer | HttpsServer) {
    const forget = sharedListener((tcp: Socket) => this.#open.delete(tcp));
    server.on("connection", (tcp: Socket) => {
      this.#open.add(tcp);
      tcp.on("close", forget);
    });
  }

  /** Cuts all of them off: a peer that vanished never answers the closing handshake. */
  destroy(): void {
    for (const tcp of this.#open) tcp.destroy();
  }
}
