import { setTimeout as delay } from "node:timers/promises";
import type { Socket } from "socket.io";
import { Frame } from "../feed/frame.ts";
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

/** A signal as Socket.IO encoded it, with or without binary, in the namespace `/`. */
const SIGNAL = /^(?:2|5\d+-)\["signal",/;

/** Engine.IO's packet as its `packetCreate` event gives it. */
interface EnginePacket {
  readonly data?: string | ArrayBufferView;
}

/**
 * The way out to one client. It counts everything that this connection was given and the operating system has not taken,
 * whoever wrote it and whichever way it went: acknowledgements, signals and presence too.
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
  /** A request that came by polling is kept unread. */
  #keepsRequest = false;
  readonly #signalDropped: () => void;
  readonly #onPacket = (packet: EnginePacket) => this.#count(packet);
  readonly #onFlush = () => {
    this.#handed = this.#waiting;
    this.#waiting = 0;
  };
  readonly #release: () => void;

  /**
   * `maxBytes`: what the connection may owe before its readers leave the live stream. `signalDropped` is called for each
   * signal that was not written because it owes more than that.
   */
  constructor(socket: Socket, maxBytes: number, signalDropped: () => void) {
    this.connection = socket.id;
    this.#socket = socket;
    this.#maxBytes = maxBytes;
    this.#direct = new DirectWrite(socket.conn);
    this.#signalDropped = signalDropped;
    socket.conn.on("packetCreate", this.#onPacket);
    socket.conn.on("flush", this.#onFlush);
    this.#release = this.#interceptPackets();
  }

  /** The socket is gone; its connection may go on with another one, which has an outlet of its own. */
  release(): void {
    this.#socket.conn.off("packetCreate", this.#onPacket);
    this.#socket.conn.off("flush", this.#onFlush);
    this.#release();
  }

  write(frame: Frame): boolean {
    const tcp = this.#direct.free;
    if (tcp !== undefined) {
      tcp.write(frame.websocket);
      if (tcp.writableLength <= this.#maxBytes) return true;
      this.#pauseRequests();
      return false;
    }
    // Engine.IO's transports take `wsPreEncodedFrame` as it is; polling, and a packet that waits for an upgrade, use the text.
    for (const part of frame.parts) {
      const options = { compress: false, wsPreEncodedFrame: [part.websocket] };
      this.#socket.conn.write(part.text, options);
    }
    return !this.#owesTooMuch;
  }

  offer(frame: Frame): boolean {
    if (this.#owesTooMuch) return false;
    this.write(frame);
    return true;
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

  /**
   * A request is about to be read from a polling client. `serve` is called once the client owes little enough; a second
   * one meanwhile is against Engine.IO's protocol, and `refuse` is called.
   */
  keepRequest(serve: () => void, refuse: () => void): void {
    if (this.#keepsRequest) {
      refuse();
    } else if (this.#owesTooMuch) {
      this.#keepsRequest = true;
      const go = () => {
        this.#keepsRequest = false;
        serve();
      };
      this.drained().then(go, go);
    } else {
      serve();
    }
  }

  /** Ends the connection; its client comes back by itself. */
  close(): void {
    const { conn } = this.#socket;
    conn.close(true);
    // A close frame would wait behind all that is owed, and keep it in memory.
    websocketOf(conn.transport)?.terminate();
  }

  get #owesTooMuch(): boolean {
    return this.owed > this.#maxBytes;
  }

  /**
   * What Socket.IO writes itself (acknowledgements, signals, presence of small rooms) comes by its client's
   * `writeToEngine`: the one place where signals can be told from the rest and left out, and from where a packet of text
   * can go the direct way too. Returns what undoes it.
   */
  #interceptPackets(): () => void {
    const { client } = this.#socket;
    const write: unknown = Reflect.get(client, "writeToEngine");
    if (typeof write !== "function")
      throw new Error("Socket.IO's client has no writeToEngine: signals cannot be dropped");
    const guarded = (packets: unknown, options: unknown) => {
      if (this.#owesTooMuch && isSignal(packets)) this.#signalDropped();
      else if (!this.#writeDirectly(packets, options)) Reflect.apply(write, client, [packets, options]);
    };
    Reflect.set(client, "writeToEngine", guarded);
    return () => {
      if (Reflect.get(client, "writeToEngine") === guarded) Reflect.deleteProperty(client, "writeToEngine");
    };
  }

  /** False where the packet has attachments, is encoded for many already, or must wait: then nothing was written. */
  #writeDirectly(packets: unknown, options: unknown): boolean {
    const tcp = this.#direct.free;
    if (tcp === undefined || !Array.isArray(packets) || packets.length !== 1 || isEncoded(options)) return false;
    const [packet]: unknown[] = packets;
    if (typeof packet !== "string") return false;
    tcp.write(Frame.ofPacket(packet).websocket);
    this.#bound(tcp.writableLength);
    return true;
  }

  #count({ data }: EnginePacket): void {
    this.#waiting += data === undefined ? 0 : typeof data === "string" ? data.length : data.byteLength;
    this.#bound(this.owed);
  }

  #bound(owed: number): void {
    if (owed > CLOSE_AT * this.#maxBytes) this.close();
    else if (owed > this.#maxBytes) this.#pauseRequests();
  }

  /** Whoever does not read what it asked for cannot ask for more. */
  #pauseRequests(): void {
    const websocket = websocketOf(this.#socket.conn.transport);
    if (websocket === undefined || this.#paused) return;
    this.#paused = true;
    websocket.pause();
    const resume = () => {
      this.#paused = false;
      websocket.resume();
    };
    this.drained().then(resume, resume);
  }
}

function isSignal(packets: unknown): boolean {
  const first: unknown = Array.isArray(packets) ? packets[0] : packets;
  return typeof first === "string" && SIGNAL.test(first);
}

/** The adapter's broadcasts carry one frame for all. */
function isEncoded(options: unknown): boolean {
  return typeof options === "object" && options !== null && "wsPreEncodedFrame" in options;
}
