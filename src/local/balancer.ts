import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Sessions, sidOfCookies, sidOfUrl } from "./sessions.ts";
import { Passage, type Upstream } from "./upstream.ts";

/** What Engine.IO itself answers: the client then starts a new session. */
const UNKNOWN_SESSION = { status: 400, body: JSON.stringify({ code: 1, message: "Session ID unknown" }) };
const NO_NODE = { status: 503, body: JSON.stringify({ message: "no node is ready" }) };
const NODE_FAILED = { status: 502, body: JSON.stringify({ message: "the node did not answer" }) };
type Refusal = typeof UNKNOWN_SESSION;

/** A sticky balancer on one loopback port. */
export interface Balancer {
  readonly port: number;
  readonly url: string;
  add(upstream: Upstream): void;
  /** Takes an upstream and all its sessions out; connections that are open close with it, not by this. */
  remove(upstream: Upstream): void;
  /** Ends every connection. */
  close(): Promise<void>;
}

interface BalancerOptions {
  /** 0 for any. */
  readonly port: number;
  /** Sees each plain request first; true where it has answered. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** Decides who gets what: sessions stick, new ones go where the fewest connections are, equals take turns. */
class Routes {
  readonly #sessions = new Sessions<Passage>();
  #passages: Passage[] = [];

  add(upstream: Upstream): void {
    this.#passages.push(
      new Passage(upstream, (response, passage) => {
        const sid = sidOfCookies(response.headers["set-cookie"]);
        if (sid !== undefined) this.#sessions.learn(sid, passage);
      }),
    );
  }

  remove(upstream: Upstream): void {
    const passage = this.#passages.find((each) => each.upstream === upstream);
    if (passage === undefined) return;
    this.#passages = this.#passages.filter((each) => each !== passage);
    this.#sessions.forget(passage);
    passage.close();
  }

  ofSession(sid: string): Passage | undefined {
    return this.#sessions.find(sid);
  }

  forFresh(except?: Passage): Passage | undefined {
    const ready = this.#passages.filter((passage) => passage.upstream.ready && passage !== except);
    const fewest = Math.min(...ready.map((passage) => passage.open));
    const chosen = ready.find((passage) => passage.open === fewest);
    if (chosen === undefined) return undefined;
    // Its turn is over: least connections alone would send a whole burst to one node.
    this.#passages = [...this.#passages.filter((passage) => passage !== chosen), chosen];
    return chosen;
  }

  close(): void {
    for (const passage of this.#passages) passage.close();
  }
}

/** Picks a passage whose node takes a connection: nothing was sent yet, so another one may be tried. */
async function connectFresh(routes: Routes): Promise<{ passage: Passage; opened: Socket } | Refusal> {
  const first = routes.forFresh();
  if (first === undefined) return NO_NODE;
  try {
    return { passage: first, opened: await first.connect() };
  } catch {
    const second = routes.forFresh(first);
    if (second === undefined) return NODE_FAILED;
    return await second.connect().then(
      (opened) => ({ passage: second, opened }),
      () => NODE_FAILED,
    );
  }
}

async function connectSession(routes: Routes, sid: string): Promise<{ passage: Passage; opened: Socket } | Refusal> {
  const passage = routes.ofSession(sid);
  if (passage === undefined) return UNKNOWN_SESSION;
  return await passage.connect().then(
    (opened) => ({ passage, opened }),
    () => UNKNOWN_SESSION,
  );
}

function refuse(response: ServerResponse, { status, body }: Refusal): void {
  if (response.headersSent) response.destroy();
  else response.writeHead(status, { "content-type": "application/json" }).end(body);
}

function refuseUpgrade(socket: Duplex, { status, body }: Refusal): void {
  const head = `HTTP/1.1 ${status} Refused\r\ncontent-type: application/json\r\nconnection: close\r\n`;
  socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

async function pass(routes: Routes, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const sid = sidOfUrl(request.url);
  const known = sid === undefined ? undefined : routes.ofSession(sid);
  if (known !== undefined) {
    await known.web(request, response).catch((error: NodeJS.ErrnoException) => {
      refuse(response, error.code === "ECONNREFUSED" ? UNKNOWN_SESSION : NODE_FAILED);
    });
    return;
  }
  const found = sid === undefined ? await connectFresh(routes) : UNKNOWN_SESSION;
  if ("status" in found) return refuse(response, found);
  if (response.destroyed) {
    found.opened.destroy();
    return;
  }
  await found.passage.web(request, response, found.opened).catch(() => refuse(response, NODE_FAILED));
}

async function passUpgrade(routes: Routes, request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
  const sid = sidOfUrl(request.url);
  const found = await (sid === undefined ? connectFresh(routes) : connectSession(routes, sid));
  if ("status" in found) return refuseUpgrade(socket, found);
  if (socket.destroyed) {
    found.opened.destroy();
    return;
  }
  await found.passage.upgrade(request, socket, head, found.opened).catch(() => socket.destroy());
}

/** Idle connections of clients, in milliseconds: longer than nodes say that theirs are kept, which clients are told. */
const KEEP_ALIVE_MS = 70_000;

/**
 * Starts the balancer on 127.0.0.1 (never wider: see `Passage` on `POST /dev/token`). Rejects with the code `EADDRINUSE`
 * where the port is busy.
 */
export async function startBalancer({ port, intercept }: BalancerOptions): Promise<Balancer> {
  const routes = new Routes();
  const sockets = new Set<Duplex>();
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    if (intercept?.(request, response)) return;
    void pass(routes, request, response);
  });
  server.on("upgrade", (request, socket, head) => {
    if (!(socket instanceof Socket)) throw new TypeError("an upgrade comes on a TCP socket");
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    // Clients vanish at any moment; what is under way for them ends by the socket's `close`.
    socket.on("error", () => socket.destroy());
    void passUpgrade(routes, request, socket, head);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host: "127.0.0.1" }, resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    port: address.port,
    url: `http://127.0.0.1:${address.port}`,
    add: (upstream) => routes.add(upstream),
    remove: (upstream) => routes.remove(upstream),
    async close() {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      routes.close();
      await closed;
    },
  };
}
