import { ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { Socket } from "socket.io";
import { Frame } from "../feed/frame.ts";
import type { ServerEvents } from "../protocol.ts";
import type { Port } from "../room/connection.ts";
import { sharedListener } from "../shared-listener.ts";
import { DirectWrite } from "./direct-write.ts";
import { type Engine, websocketOf } from "./engine.ts";
import type { FdWriter } from "./fd-writer.ts";
import type { Debtor, OutboundBudget } from "./outbound-budget.ts";
import { isEncoded, isSignal, isVolatile, sizeOf } from "./packets.ts";
import { PollAnswers } from "./poll-answers.ts";
import { corkCallback, corkTurn } from "./turn-cork.ts";
import { Unread } from "./unread.ts";

/** How often a connection that owes too much is looked at again, in milliseconds. */
const LOOK_AGAIN_MS = 50;
/** A connection that owes this many times its bound is closed. */
const CLOSE_AT = 2;

type Client = Socket["client"];

/** Socket.IO's client writes its packets by this method; the types hide it. */
const WRITE = "writeToEngine";

/** As Socket.IO itself would. */
function writeByEngine(client: Client, packets: unknown, options: unknown): void {
  const write: unknown = Reflect.get(Object.getPrototypeOf(client), WRITE);
  if (typeof write === "function") Reflect.apply(write, client, [packets, options]);
}

/** What holds for all outlets of a node. */
export interface OutletBounds {
  /** What a connection may owe before its readers leave the live stream, in bytes. */
  readonly maxBytes: number;
  readonly budget: Pick<OutboundBudget, "owes" | "release">;
  /** Called for each signal that was not written because its receiver owes more than that. */
  readonly signalDropped: () => void;
}

/**
 * The way out to one client. It counts everything that this connection was given and the operating system has not taken,
 * whoever wrote it and whichever way it went: acknowledgements, signals and presence too.
 */
export class SocketOutlet implements Port, Debtor {
  readonly connection: string;
  readonly #socket: Socket;
  readonly #bounds: OutletBounds;
  readonly #direct: DirectWrite;
  /** Written since Engine.IO last handed its buffer to the transport. */
  #waiting = 0;
  /** Handed to the transport, which has not drained since. */
  #handed = 0;
  /** Undefined until there was one. */
  #answers: PollAnswers | undefined;
  #paused = false;
  /** A request that came by polling is kept unread. */
  #keepsRequest = false;

  /** By Engine.IO's connection: what hears of it is shared by all outlets. */
  static readonly #outlets = new WeakMap<object, SocketOutlet>();
  static readonly #onWrite = sharedListener((client: Client, packets: unknown, options: unknown) => {
    const outlet = SocketOutlet.#outlets.get(client.conn);
    if (outlet === undefined) writeByEngine(client, packets, options);
    else outlet.#writePackets(packets, options);
  });

  static readonly #onUpgrade = sharedListener((conn: object) => {
    const outlet = SocketOutlet.#outlets.get(conn);
    if (outlet !== undefined) outlet.#direct.doubt();
  });

  constructor(socket: Socket, bounds: OutletBounds) {
    this.connection = socket.id;
    this.#socket = socket;
    this.#bounds = bounds;
    this.#direct = new DirectWrite(socket.conn);
    const { conn, client } = socket;
    SocketOutlet.#outlets.set(conn, this);
    conn.on("upgrade", SocketOutlet.#onUpgrade);
    // What Socket.IO writes itself (acknowledgements, signals, presence of small rooms) comes by its client's
    // `writeToEngine`: the one place where signals can be told from the rest and left out, and from where a packet of
    // text can go the direct way too.
    if (typeof Reflect.get(client, WRITE) !== "function")
      throw new Error("Socket.IO's client has no writeToEngine: signals cannot be dropped");
    Reflect.set(client, WRITE, SocketOutlet.#onWrite);
  }

  /** Hears of everything that this engine hands to its transports; before there are outlets. */
  static watch(engine: Engine): void {
    engine.on("flush", (connection: object) => {
      const outlet = SocketOutlet.#outlets.get(connection);
      if (outlet !== undefined) outlet.#flushed();
    });
  }

  /** That of an Engine.IO connection. */
  static of(connection: object | undefined): SocketOutlet | undefined {
    return connection && SocketOutlet.#outlets.get(connection);
  }

  /** The socket is gone; its connection may go on with another one, which has an outlet of its own. */
  release(): void {
    const { conn, client } = this.#socket;
    this.#direct.doubt();
    this.#bounds.budget.release(this);
    // By then it is known whether the session ends with its socket, or goes on with another one.
    if (this.owed > 0) setImmediate(() => this.#leaveUnread());
    if (SocketOutlet.#outlets.get(conn) !== this) return;
    SocketOutlet.#outlets.delete(conn);
    conn.off("upgrade", SocketOutlet.#onUpgrade);
    Reflect.deleteProperty(client, WRITE);
  }

  /** What is written directly in this turn leaves at its end, together. */
  corkTurn(): void {
    const { writer } = this.#direct;
    if (writer !== undefined) corkTurn(writer.socket);
  }

  moreFollows(): void {
    const { writer } = this.#direct;
    if (writer !== undefined) corkCallback(writer.socket);
  }

  get line(): FdWriter | undefined {
    return this.#direct.writer;
  }

  keepsUp(): boolean {
    const { owed } = this;
    this.#owes(owed);
    if (owed <= this.#bounds.maxBytes) return true;
    this.#pauseRequests();
    return false;
  }

  write(frame: Frame): boolean {
    const writer = this.#direct.free;
    if (writer !== undefined) return writer.write(frame.websocket) || this.keepsUp();
    this.#direct.doubt();
    // Engine.IO's transports take `wsPreEncodedFrame` as it is; polling, and a packet that waits for an upgrade, use the text.
    for (const part of frame.parts) {
      const options = { compress: false, wsPreEncodedFrame: [part.websocket] };
      this.#waiting += part.text.length;
      this.#socket.conn.write(part.text, options);
    }
    this.#bound(this.owed);
    return !this.#owesTooMuch;
  }

  offer(frame: Frame): boolean {
    if (this.#owesTooMuch) return false;
    this.write(frame);
    return true;
  }

  drained(): Promise<void> {
    return this.#until(() => this.#isDrained);
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
    const answered = this.#answers?.bytes ?? 0;
    const { writer } = this.#direct;
    if (writer !== undefined) return this.#waiting + writer.owed + answered;
    const { conn } = this.#socket;
    if (conn.transport.writable && this.#waiting === 0) return answered;
    return this.#waiting + Math.max(this.#handed, answered);
  }

  /** What is unread in a websocket that goes on with another socket counts there. */
  #leaveUnread(): void {
    const { budget } = this.#bounds;
    for (const unread of this.#answers?.unread() ?? []) budget.owes(unread);
    const tcp = this.#direct.writer?.socket;
    if (tcp !== undefined && this.#socket.conn.readyState !== "open") budget.owes(new Unread(tcp));
  }

  /**
   * A request is about to be read from a polling client. `serve` is called once the client owes little enough; a second
   * one meanwhile is against Engine.IO's protocol, and `refuse` is called.
   */
  keepRequest(serve: () => void, refuse: () => void): void {
    if (this.#keepsRequest) {
      refuse();
    } else if (this.#owesTooMuch && !this.#socket.conn.upgrading) {
      this.#keepsRequest = true;
      const go = () => {
        this.#keepsRequest = false;
        serve();
      };
      // A client that is upgrading asks for nothing more by polling until this one is answered.
      this.#until(() => this.#isDrained || this.#socket.conn.upgrading).then(go, go);
    } else {
      serve();
    }
  }

  bound(): void {
    this.#bound(this.owed);
  }

  /** Ends the connection; its client comes back by itself. */
  close(): void {
    const { conn } = this.#socket;
    conn.close(true);
    // A close frame would wait behind all that is owed, and keep it in memory; so would answers that nobody reads.
    websocketOf(conn.transport)?.terminate();
    this.#answers?.cutOff();
  }

  async #until(isDone: () => boolean): Promise<void> {
    // One that is closing may still have readers, which would ask again and again at once.
    while (!isDone() && this.#socket.conn.readyState !== "closed" && this.#isHeld) {
      await delay(LOOK_AGAIN_MS, undefined, { ref: false });
    }
  }

  /** Until `release`: what its connection is given after that is counted by another outlet. */
  get #isHeld(): boolean {
    return SocketOutlet.of(this.#socket.conn) === this;
  }

  get #isDrained(): boolean {
    return this.owed <= this.#bounds.maxBytes / 2;
  }

  get #owesTooMuch(): boolean {
    return this.owed > this.#bounds.maxBytes;
  }

  #writePackets(packets: unknown, options: unknown): void {
    if (this.#owesTooMuch && isSignal(packets)) this.#bounds.signalDropped();
    else if (!this.#writeDirectly(packets, options)) this.#giveToEngine(packets, options);
  }

  /** False where the packet has attachments, is encoded for many already, or must wait: then nothing was done. */
  #writeDirectly(packets: unknown, options: unknown): boolean {
    const writer = this.#direct.free;
    if (writer === undefined || !Array.isArray(packets) || packets.length !== 1 || isEncoded(options)) return false;
    // Dropped without a word, as by Socket.IO itself, where it could not leave at once. What is corked leaves in this turn.
    if (isVolatile(options) && writer.owed > 0 && writer.socket.writableCorked === 0) return true;
    const [packet]: unknown[] = packets;
    if (typeof packet !== "string") return false;
    if (!writer.write(Frame.ofPacket(packet).websocket)) this.#bound(writer.owed);
    return true;
  }

  /** Whatever goes by Engine.IO waits in its buffer until that tells of a flush. */
  #giveToEngine(packets: unknown, options: unknown): void {
    const { client, conn } = this.#socket;
    this.#direct.doubt();
    // Socket.IO drops those without a word where the transport cannot take them at once.
    if (!isVolatile(options) || conn.transport.writable) this.#waiting += sizeOf(packets);
    writeByEngine(client, packets, options);
    this.#bound(this.owed);
  }

  #flushed(): void {
    this.#handed = this.#waiting;
    this.#waiting = 0;
    const answer: unknown = Reflect.get(this.#socket.conn.transport, "res");
    if (!(answer instanceof ServerResponse) || answer.destroyed) return;
    this.#answers ??= new PollAnswers();
    this.#answers.add(answer, this.#handed);
  }

  #bound(owed: number): void {
    const { maxBytes } = this.#bounds;
    this.#owes(owed);
    if (owed > CLOSE_AT * maxBytes) this.close();
    else if (owed > maxBytes) this.#pauseRequests();
  }

  /** One that was released is in no budget, whoever still writes to it. */
  #owes(owed: number): void {
    if (owed > 0 && this.#isHeld) this.#bounds.budget.owes(this);
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
