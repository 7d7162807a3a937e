import { setTimeout as delay } from "node:timers/promises";
import type { Socket } from "socket.io";
import type { Frame } from "../feed/frame.ts";
import type { ServerEvents } from "../protocol.ts";
import type { Port } from "../room/connection.ts";
import { DirectWrite } from "./direct-write.ts";

/** How often a connection that owes too much is looked at again, in milliseconds. */
const LOOK_AGAIN_MS = 50;
/** A connection that owes this many times its bound is closed. */
const CLOSE_AT = 2;

/** What we use of the websocket under Engine.IO's transport. */
interface Websocket {
  pause(): void;
  resume(): void;
  terminate(): void;
}

/** Engine.IO does not give it out by its types; polling has none. */
function websocketOf(transport: object): Websocket | undefined {
  const socket: unknown = Reflect.get(transport, "socket");
  return isWebsocket(socket) ? socket : undefined;
}

function isWebsocket(value: unknown): value is Websocket {
  return typeof value === "object" && value !== null && "pause" in value && "resume" in value && "terminate" in value;
}

/** Engine.IO's packet as its `packetCreate` event gives it. */
interface EnginePacket {
  readonly data?: string | ArrayBufferView;
}

/**
 * The way out to one client. It counts everything that Engine.IO was given for this connection and has not passed to
 * the operating system, whoever wrote it: acknowledgements, signals and presence too.
 */
export class SocketOutlet implements Port {
  readonly connection: string;
  readonly #socket: Socket;
  readonly #maxBytes: number;
  readonly #direct: DirectWrite;
  /** Written since Engine.IO last handed its buffer to the transport. */
  #waiting = 0;
  /** Handed to the transport, which has not drained since. */
  #handed = 0;
  #paused = false;

  /** `maxBytes`: what the connection may owe before its readers leave the live stream. */
  constructor(socket: Socket, maxBytes: number) {
    this.connection = socket.id;
    this.#socket = socket;
    this.#maxBytes = maxBytes;
    this.#direct = new DirectWrite(socket.conn);
    socket.conn.on("packetCreate", (packet: EnginePacket) => this.#count(packet));
    socket.conn.on("flush", () => {
      this.#handed = this.#waiting;
      this.#waiting = 0;
    });
  }

  write(frame: Frame): boolean {
    const tcp = this.#direct.free;
    if (tcp !== undefined) {
      tcp.write(frame.websocket);
      return tcp.writableLength <= this.#maxBytes;
    }
    // Engine.IO's transports take `wsPreEncodedFrame` as it is; polling, and a packet that waits for an upgrade, use the text.
    for (const part of frame.parts) {
      const options = { compress: false, wsPreEncodedFrame: [part.websocket] };
      this.#socket.conn.write(part.text, options);
    }
    return this.owed <= this.#maxBytes;
  }

  async drained(): Promise<void> {
    while (this.owed > this.#maxBytes / 2 && this.#socket.conn.readyState === "open") {
      await delay(LOOK_AGAIN_MS, undefined, { ref: false });
    }
  }

  enter(room: string): void {
    // Synchronous with the sharded and the in-memory adapter, whatever the type says.
    Promise.resolve(this.#socket.join(room)).catch(() => this.#socket.conn.close());
  }

  exit(room: string): void {
    Promise.resolve(this.#socket.leave(room)).catch(() => this.#socket.conn.close());
  }

  signal(event: ServerEvents["signal"]): void {
    this.#socket.to(event.room).emit("signal", event);
  }

  removed(event: ServerEvents["removed"]): void {
    this.#socket.emit("removed", event);
  }

  /** Bytes that this connection was sent and the operating system has not taken. */
  get owed(): number {
    const tcp = this.#direct.socket;
    if (tcp !== undefined) return this.#waiting + tcp.writableLength;
    const { conn } = this.#socket;
    return conn.transport.writable && this.#waiting === 0 ? 0 : this.#waiting + this.#handed;
  }

  /** Ends the connection; its client comes back by itself. */
  close(): void {
    const { conn } = this.#socket;
    conn.close(true);
    // A close frame would wait behind all that is owed, and keep it in memory.
    websocketOf(conn.transport)?.terminate();
  }

  #count({ data }: EnginePacket): void {
    this.#waiting += data === undefined ? 0 : typeof data === "string" ? data.length : data.byteLength;
    const { owed } = this;
    if (owed > CLOSE_AT * this.#maxBytes) this.close();
    else if (owed > this.#maxBytes && !this.#paused) this.#pauseRequests();
  }

  /** Whoever does not read what it asked for cannot ask for more. */
  #pauseRequests(): void {
    const websocket = websocketOf(this.#socket.conn.transport);
    if (websocket === undefined) return;
    this.#paused = true;
    websocket.pause();
    const resume = () => {
      this.#paused = false;
      websocket.resume();
    };
    this.drained().then(resume, resume);
  }
}
