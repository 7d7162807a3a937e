import { Agent, type IncomingMessage, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { createProxyServer } from "httpxy";

const CONNECT_TIMEOUT_MS = 2_000;

/** One life of a node, as the balancer sees it. */
export interface Upstream {
  readonly name: string;
  readonly port: number;
  /** Whether it takes new sessions; known ones go to it in any case. */
  ready: boolean;
}

/** Hands out one connection that is open already. */
class OpenedAgent extends Agent {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super({ keepAlive: false });
    this.#socket = socket;
  }

  override createConnection(): Socket {
    return this.#socket;
  }
}

/** Passes requests on to one upstream, and counts those under way. */
export class Passage {
  readonly upstream: Upstream;
  /** Requests and websockets that are open now. */
  open = 0;
  readonly #kept = new Agent({ keepAlive: true });
  readonly #proxy;

  /** `onResponse` sees every plain response before it is passed back. */
  constructor(upstream: Upstream, onResponse: (response: IncomingMessage, passage: Passage) => void) {
    this.upstream = upstream;
    // No Forwarded, X-Forwarded-* or Via, and the client's own Host: POST /dev/token answers loopback callers with a
    // loopback Host that came through no proxy. This one listens on loopback only, so the promise holds through it.
    this.#proxy = createProxyServer({ target: `http://127.0.0.1:${upstream.port}`, xfwd: false, changeOrigin: false });
    this.#proxy.on("proxyRes", (response) => {
      // How the upstream treats our connection says nothing about the client's.
      delete response.headers.connection;
      onResponse(response, this);
    });
  }

  /** A connection to the upstream, so that it is known to be there before anything is sent. */
  async connect(): Promise<Socket> {
    const socket = connect({ port: this.upstream.port, host: "127.0.0.1", noDelay: true });
    return await new Promise((resolve, reject) => {
      const refuse = (error: Error) => {
        socket.destroy();
        reject(error);
      };
      socket.setTimeout(CONNECT_TIMEOUT_MS, () => refuse(new Error(`${this.upstream.name} does not answer`)));
      socket.once("error", refuse);
      socket.once("connect", () => {
        socket.setTimeout(0);
        socket.off("error", refuse);
        resolve(socket);
      });
    });
  }

  /** Passes a request on, over `opened` or over a kept connection; resolves when the exchange is over. */
  async web(request: IncomingMessage, response: ServerResponse, opened?: Socket): Promise<void> {
    const agent = opened === undefined ? this.#kept : new OpenedAgent(opened);
    await this.#counted(() => this.#proxy.web(request, response, { agent }));
  }

  /** Passes an upgrade on; resolves when the client's socket has closed. */
  async upgrade(request: IncomingMessage, socket: Socket, head: Buffer, opened: Socket): Promise<void> {
    try {
      await this.#counted(() => this.#proxy.ws(request, socket, { agent: new OpenedAgent(opened) }, head));
    } finally {
      // A client's socket that is destroyed here, rather than ended by the client, takes only itself away.
      opened.destroy();
    }
  }

  close(): void {
    this.#kept.destroy();
  }

  async #counted(exchange: () => Promise<void>): Promise<void> {
    this.open++;
    try {
      await exchange();
    } finally {
      this.open--;
    }
  }
}
