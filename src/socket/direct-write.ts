import { Socket as TcpSocket } from "node:net";
import { FdWriter } from "./fd-writer.ts";

/** What is used here of Engine.IO's connection and transport; their types hide some of it. */
interface EngineConnection {
  readonly readyState: string;
  readonly upgrading: boolean;
  readonly writeBuffer: readonly unknown[];
  readonly transport: EngineTransport;
}

interface EngineTransport {
  readonly name: string;
  readonly writable: boolean;
}

/**
 * The way past Engine.IO for frames that are ready as they are: straight to the TCP socket of a websocket connection,
 * without a packet, options, events and callbacks for each (docs/decisions/0007). Only where that keeps the order: nothing
 * that Engine.IO was given before is still waiting in it.
 */
export class DirectWrite {
  readonly #connection: EngineConnection;
  #transport: EngineTransport | undefined;
  #writer: FdWriter | undefined;

  /** `connection` is Engine.IO's, in whichever version: where it is not as expected, there is no way past it. */
  constructor(connection: object) {
    this.#connection = isEngineConnection(connection) ? connection : NO_WAY;
  }

  /** To the connection's TCP socket, once it is a websocket. */
  get writer(): FdWriter | undefined {
    const { transport } = this.#connection;
    if (transport !== this.#transport) {
      this.doubt();
      this.#transport = transport;
      const tcp = transport.name === "websocket" ? tcpOf(transport) : undefined;
      this.#writer = tcp && new FdWriter(tcp);
    }
    return this.#writer;
  }

  /** The same, where a whole frame may be written by it now. */
  get free(): FdWriter | undefined {
    const { readyState, upgrading, writeBuffer, transport } = this.#connection;
    const { writer } = this;
    if (writer === undefined || readyState !== "open") return undefined;
    if (writer.isClear) return writer;
    writer.isClear = !upgrading && writeBuffer.length === 0 && transport.writable;
    return writer.isClear ? writer : undefined;
  }

  /**
   * Engine.IO is given something, the connection has another transport, or it ends: the writer is not clear before the next look.
   * Engine.IO's own pings do not matter, for a frame may overtake them.
   */
  doubt(): void {
    if (this.#writer !== undefined) this.#writer.isClear = false;
  }
}

const NO_WAY: EngineConnection = {
  readyState: "unknown",
  upgrading: false,
  writeBuffer: [],
  transport: { name: "unknown", writable: false },
};

function isEngineConnection(value: object): value is EngineConnection {
  const { readyState, upgrading, writeBuffer, transport } = value as Partial<Record<keyof EngineConnection, unknown>>;
  return (
    typeof readyState === "string" &&
    typeof upgrading === "boolean" &&
    Array.isArray(writeBuffer) &&
    typeof transport === "object" &&
    transport !== null &&
    "name" in transport &&
    "writable" in transport
  );
}

/** Of the `ws` library's websocket under the transport. */
function tcpOf(transport: object): TcpSocket | undefined {
  const websocket: unknown = Reflect.get(transport, "socket");
  if (typeof websocket !== "object" || websocket === null) return undefined;
  const tcp: unknown = Reflect.get(websocket, "_socket");
  return tcp instanceof TcpSocket ? tcp : undefined;
}
