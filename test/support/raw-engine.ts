import { connect } from "node:net";
import { stopsWithTest } from "./teardown.ts";

/** Between packets in a polling body (Engine.IO protocol, version 4). */
const SEPARATOR = "\x1e";
const PATH = "/socket.io/?EIO=4&transport=";

/** An answer to a polling request, as it came. */
export interface Polled {
  readonly status: number;
  readonly packets: readonly string[];
}

async function answerOf(response: Response): Promise<Polled> {
  const body = await response.text();
  return { status: response.status, packets: body === "" ? [] : body.split(SEPARATOR) };
}

/** Engine.IO by polling, without any client. */
export const polling = {
  /** `more`: further fields of the query. */
  get: async (url: string, sid?: string, more = ""): Promise<Polled> =>
    answerOf(await fetch(`${url}${PATH}polling${sid === undefined ? "" : `&sid=${sid}`}${more}`)),
  post: async (url: string, sid: string, ...packets: readonly string[]): Promise<Polled> =>
    answerOf(await fetch(`${url}${PATH}polling&sid=${sid}`, { method: "POST", body: packets.join(SEPARATOR) })),
};

/** Engine.IO by websocket, without any client: every frame as it came, binary as Buffer, and the end as `closed`. */
export class RawWebSocket {
  readonly frames: (string | Buffer)[] = [];
  closed = false;
  readonly #socket: WebSocket;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.frames.push(typeof data === "string" ? data : Buffer.from(data));
    socket.onclose = () => {
      this.closed = true;
    };
  }

  /** Closed with the test. With a `sid` it joins a session that began by polling. */
  static async open(url: string, sid?: string): Promise<RawWebSocket> {
    const socket = new WebSocket(
      `${url.replace("http", "ws")}${PATH}websocket${sid === undefined ? "" : `&sid=${sid}`}`,
    );
    stopsWithTest(() => socket.close());
    const raw = new RawWebSocket(socket);
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = () => reject(new Error(`no websocket to ${url}`));
    });
    socket.onerror = () => undefined;
    return raw;
  }

  close(): void {
    this.#socket.close();
  }

  send(frame: string | Uint8Array): void {
    this.#socket.send(typeof frame === "string" ? frame : new Uint8Array(frame));
  }
}

/** All that a server says to an upgrade with this query, up to the end of the connection, without what differs from run to run. */
export async function upgradeAnswer(url: string, query: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const tcp = connect({ host: hostname, port: Number(port) });
  stopsWithTest(() => {
    tcp.destroy();
  });
  tcp.write(
    `GET /socket.io/?${query} HTTP/1.1\r\nHost: ${hostname}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
  );
  let answer = "";
  tcp.on("data", (chunk) => {
    answer += chunk.toString("latin1");
  });
  await new Promise<void>((resolve) => {
    tcp.once("close", () => resolve());
  });
  return answer.replaceAll(/^Set-Cookie: .*\r\n/gim, "");
}
