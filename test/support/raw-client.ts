import { once } from "node:events";
import { signToken } from "./token.ts";

const OPEN_WITHIN_MS = 5_000;

/** A websocket that speaks Engine.IO by hand and says whatever it is told to. */
export class RawClient {
  readonly socket: WebSocket;
  /** Every text frame that came, but for pings. */
  readonly heard: string[] = [];
  onFrame: ((frame: string) => void) | undefined;
  #closed = false;

  constructor(url: string) {
    this.socket = new WebSocket(`${url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }: MessageEvent) => {
      if (data === "2") this.socket.send("3");
      else if (typeof data === "string" && this.onFrame !== undefined) this.onFrame(data);
      else if (typeof data === "string") this.heard.push(data);
    };
    this.socket.onclose = () => {
      this.#closed = true;
    };
    this.socket.onerror = () => undefined;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get isOpen(): boolean {
    return this.socket.readyState === WebSocket.OPEN;
  }

  send(frame: string | Uint8Array<ArrayBuffer>): void {
    if (this.isOpen) this.socket.send(frame);
  }

  close(): void {
    this.socket.close();
  }
}

/** A raw websocket, with Engine.IO's handshake done and nothing said about who it is. */
export async function openRaw(url: string): Promise<RawClient> {
  const client = new RawClient(url);
  await once(client.socket, "open", { signal: AbortSignal.timeout(OPEN_WITHIN_MS) });
  return client;
}

/** A raw websocket that is authenticated, as a stock client would be. */
export async function connectRaw(url: string, token?: string): Promise<RawClient> {
  const client = await openRaw(url);
  const welcomed = new Promise<void>((resolve, reject) => {
    client.onFrame = (frame) => {
      if (frame.startsWith('42["welcome"')) resolve();
      if (frame.startsWith("44")) reject(new Error(frame));
    };
    client.socket.addEventListener("close", () => reject(new Error("closed before welcome")));
  });
  client.send(`40${JSON.stringify({ token: token ?? (await signToken()) })}`);
  await welcomed;
  client.onFrame = undefined;
  return client;
}
