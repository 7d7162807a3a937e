import { io, type ManagerOptions, type Socket, type SocketOptions } from "socket.io-client";
import type { ServerEvents } from "../../src/protocol.ts";
import { stopsWithTest } from "./teardown.ts";

export type Transports = readonly ("websocket" | "polling")[];
const CONNECT_TIMEOUT_MS = 10_000;

/** The ways in which a stock client may connect; every delivery test runs with each of them. */
export const TRANSPORTS: Readonly<Record<string, Transports>> = {
  websocket: ["websocket"],
  polling: ["polling"],
  "polling, then websocket": ["polling", "websocket"],
};

export interface ConnectedClient {
  readonly socket: Socket;
  /** The first `welcome`. */
  readonly welcome: ServerEvents["welcome"];
}

/** A stock client that is not connected yet: attach listeners, then `connect()`. Closed when the test ends. */
export function stockClient(url: string, token: string, options: Partial<ManagerOptions & SocketOptions> = {}): Socket {
  const socket = io(url, { auth: { token }, forceNew: true, autoConnect: false, ...options });
  stopsWithTest(() => {
    socket.disconnect();
  });
  return socket;
}

/** Connects a stock client and waits for `welcome`; rejects with what `connect_error` says. */
export async function connectClient(
  url: string,
  token: string,
  options: Omit<Partial<ManagerOptions & SocketOptions>, "transports"> & { transports?: Transports } = {},
): Promise<ConnectedClient> {
  const { transports = ["websocket"], ...rest } = options;
  const socket = stockClient(url, token, { ...rest, transports: [...transports] });
  const { promise, resolve, reject } = Promise.withResolvers<ServerEvents["welcome"]>();
  const deadline = setTimeout(() => reject(new Error(`no welcome from ${url}`)), CONNECT_TIMEOUT_MS);
  socket.once("welcome", resolve);
  socket.once("connect_error", reject);
  socket.connect();
  try {
    return { socket, welcome: await promise };
  } catch (error) {
    socket.disconnect();
    throw error;
  } finally {
    clearTimeout(deadline);
    socket.off("connect_error", reject);
  }
}
