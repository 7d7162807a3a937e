import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { eventually } from "./eventually.ts";
import { stopsWithTest } from "./teardown.ts";
import { signToken } from "./token.ts";

/** A websocket's own ping with the most bytes that it may have, masked with zeros. */
const PING = Buffer.concat([Buffer.from([0x89, 0x80 | 125, 0, 0, 0, 0]), Buffer.alloc(125)]);
const PINGS_PER_WRITE = 500;

/** A text frame of a client, masked with zeros. */
function textFrame(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([Buffer.from([0x81, 0x80 | 126]), length, Buffer.alloc(4), bytes]);
}

/** A client by a TCP socket of its own, which sends pings of the websocket and may leave all answers unread. */
export class PingingSocket {
  readonly #tcp: Socket;
  #closed = false;
  #heard = "";

  private constructor(tcp: Socket) {
    this.#tcp = tcp;
    tcp.on("error", () => undefined);
    tcp.on("data", (chunk) => {
      this.#heard = (this.#heard + chunk.toString("latin1")).slice(-10_000);
    });
    tcp.once("close", () => {
      this.#closed = true;
    });
  }

  /** As Engine.IO's websocket, and nothing else; with a `sid` it would take over that session. */
  static async open(url: string, sid?: string): Promise<PingingSocket> {
    const { hostname, port } = new URL(url);
    const tcp = connect({ host: hostname, port: Number(port) });
    stopsWithTest(() => {
      tcp.destroy();
    });
    const client = new PingingSocket(tcp);
    tcp.write(
      `GET /socket.io/?EIO=4&transport=websocket${sid === undefined ? "" : `&sid=${sid}`} HTTP/1.1\r\nHost: ${hostname}\r\nUpgrade: websocket\r\n` +
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    await eventually(() => {
      if (!client.#heard.startsWith("HTTP/1.1 101")) throw new Error("no websocket yet");
    });
    return client;
  }

  static async connect(url: string): Promise<PingingSocket> {
    const client = await PingingSocket.open(url);
    await eventually(() => {
      if (!client.#heard.includes("pingInterval")) throw new Error("no handshake yet");
    });
    client.#tcp.write(textFrame(`40${JSON.stringify({ token: await signToken() })}`));
    await eventually(() => {
      if (!client.#heard.includes('42["welcome"')) throw new Error("no welcome yet");
    });
    return client;
  }

  get closed(): boolean {
    return this.#closed;
  }

  readNoMore(): void {
    this.#tcp.pause();
  }

  /** Ends early where the server takes no more, or has closed. */
  async ping(times: number): Promise<void> {
    const many = Buffer.concat(Array.from({ length: PINGS_PER_WRITE }, () => PING));
    for (let sent = 0; sent < times && !this.#closed; sent += PINGS_PER_WRITE) {
      if (this.#tcp.write(many)) continue;
      const done = new AbortController();
      const { signal } = done;
      await Promise.race([once(this.#tcp, "drain", { signal }), once(this.#tcp, "close", { signal })]);
      done.abort();
    }
  }
}
