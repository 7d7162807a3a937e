import { connect, type Socket } from "node:net";
import type { ClientPlan } from "./command.ts";
import type { Conversation, Dialect } from "./dialect.ts";
import { clientFrame, FrameReader, OPCODE } from "./frames.ts";
import { eachStamp } from "./stamp.ts";

const OPEN_WITHIN_MS = 30_000;
const END_OF_HEADERS = "\r\n\r\n";

/** Told of each message: when it was written, in microseconds. */
export type OnMessage = (micros: number) => void;

/** One websocket spoken by hand: it counts messages and answers heartbeats, and does nothing else once it is in its rooms. */
export class RawClient {
  readonly plan: ClientPlan;
  messages = 0;
  /** Why the connection ended, if it did by itself: whoever measures wants to know. */
  ended: Error | undefined;
  readonly #dialect: Dialect;
  readonly #user: string;
  readonly #onMessage: OnMessage;
  #socket: Socket | undefined;
  #conversation: Conversation | undefined;
  #failed: ((error: Error) => void) | undefined;
  #joined: (() => void) | undefined;

  constructor(dialect: Dialect, user: string, plan: ClientPlan, onMessage: OnMessage) {
    this.#dialect = dialect;
    this.#user = user;
    this.plan = plan;
    this.#onMessage = onMessage;
  }

  /** Connects, and resolves once in all rooms. */
  async open(): Promise<void> {
    const socket = connect({ host: "127.0.0.1", port: this.plan.port, noDelay: true });
    this.#socket = socket;
    this.#conversation = this.#dialect.converse(this.#user, this.plan.rooms);
    const timer = setTimeout(
      () => this.#fail(new Error(`${this.#user} is not in after ${OPEN_WITHIN_MS} ms`)),
      OPEN_WITHIN_MS,
    );
    try {
      await new Promise<void>((resolve, reject) => {
        this.#joined = resolve;
        this.#failed = reject;
        socket.on("error", (error) => this.#fail(error));
        socket.on("close", () => this.#fail(new Error(`${this.#user} was disconnected`)));
        socket.once("connect", () => socket.write(this.#request()));
        this.#awaitUpgrade(socket);
      });
    } finally {
      clearTimeout(timer);
      this.#conversation = undefined;
      this.#joined = undefined;
    }
  }

  frame(room: string, data: string): Buffer {
    return clientFrame(this.#dialect.publish(room, data), this.#dialect.opcode);
  }

  write(bytes: Buffer): void {
    this.#socket?.write(bytes);
  }

  /** Ends the connection: as if the network was lost, or in order. */
  end(how: "leave" | "cut"): void {
    this.#failed = () => undefined;
    const { farewell } = this.#dialect;
    if (how === "cut") this.#socket?.destroy();
    else if (farewell === undefined) this.#socket?.end();
    else this.#socket?.end(clientFrame(farewell, this.#dialect.opcode));
  }

  #fail(error: Error): void {
    this.#failed?.(error);
    this.ended ??= error;
  }

  #request(): string {
    const { path, subprotocol } = this.#dialect;
    const protocol = subprotocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${subprotocol}`];
    const headers = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", ...protocol];
    return [
      `GET ${path} HTTP/1.1`,
      "Host: 127.0.0.1",
      "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
      ...headers,
      "",
      "",
    ].join("\r\n");
  }

  #awaitUpgrade(socket: Socket): void {
    let head = "";
    const reader = new FrameReader((opcode, buffer, start, end) => this.#hear(opcode, buffer, start, end));
    const onHead = (chunk: Buffer) => {
      head += chunk.toString("latin1");
      const end = head.indexOf(END_OF_HEADERS);
      if (end === -1) return;
      socket.off("data", onHead);
      if (!head.startsWith("HTTP/1.1 101")) return this.#fail(new Error(`no websocket: ${head.slice(0, 200)}`));
      socket.on("data", (data) => reader.push(data));
      this.#say(this.#conversation?.start() ?? []);
      const rest = head.slice(end + END_OF_HEADERS.length);
      if (rest.length > 0) reader.push(Buffer.from(rest, "latin1"));
    };
    socket.on("data", onHead);
  }

  #say(payloads: readonly (string | Buffer)[]): void {
    for (const payload of payloads) this.write(clientFrame(payload, this.#dialect.opcode));
  }

  #hear(opcode: number, buffer: Buffer, start: number, end: number): void {
    const { heartbeat } = this.#dialect;
    if (opcode === OPCODE.ping) {
      this.write(clientFrame(buffer.subarray(start, end), OPCODE.pong));
      return;
    }
    if (heartbeat !== undefined && end - start === 1 && buffer[start] === heartbeat.ping.charCodeAt(0)) {
      this.#say([heartbeat.pong]);
      return;
    }
    eachStamp(buffer, start, end, (micros) => {
      this.messages++;
      this.#onMessage(micros);
    });
    if (this.#conversation !== undefined) this.#converse(this.#conversation, buffer.subarray(start, end));
  }

  #converse(conversation: Conversation, frame: Buffer): void {
    try {
      const { write, joined } = conversation.hear(frame);
      this.#say(write);
      if (joined) this.#joined?.();
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
