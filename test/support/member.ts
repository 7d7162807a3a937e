import { setTimeout as delay } from "node:timers/promises";
import type { Socket } from "socket.io-client";
import type { Ack, Message, ServerEvents, WirePosition } from "../../src/protocol.ts";

/** Longer than the server's own deadline of 2 s: only a lost connection makes a request run into this. */
const ACK_TIMEOUT_MS = 4_000;
const RETRY_MS = 100;

/** One run of the stream between two breaks: from a join that was not recovered, or after `resync`. */
interface Run {
  readonly epoch: string;
  /** The position from which everything must follow. */
  readonly from: number;
  readonly messages: Message[];
}

/**
 * A member of one room as an application would write it on the stock client: joins again on every connect with `since`,
 * joins anew on `resync`, sends again with the same id. It keeps what it saw, so that a test can compare.
 */
export class Member {
  readonly socket: Socket;
  readonly room: string;
  readonly runs: Run[] = [];
  readonly acked = new Map<string, number>();
  /** Whatever broke the protocol's word; a test expects none. */
  readonly violations: string[] = [];
  recoveries = 0;
  /** Milliseconds from each lost connection until it was in the room again. */
  readonly outagesMs: number[] = [];
  #lostAt: number | undefined;
  #position: WirePosition | undefined;
  #joined = false;
  #ended = false;

  constructor(socket: Socket, room: string) {
    this.socket = socket;
    this.room = room;
    socket.on("message", (message: Message) => this.#hear(message));
    socket.on("resync", (event: ServerEvents["resync"]) => {
      if (event.room !== room) return;
      this.#position = undefined;
      this.#joined = false;
      this.#joinUntilDone();
    });
    socket.on("connect", () => this.#joinUntilDone());
    socket.on("disconnect", () => {
      this.#joined = false;
      this.#lostAt ??= performance.now();
    });
    if (socket.connected) this.#joinUntilDone();
  }

  get joined(): boolean {
    return this.#joined;
  }

  get messages(): Message[] {
    return this.runs.flatMap(({ messages }) => messages);
  }

  /** Resolves with the seq once the message is acknowledged, however often it has to be sent. */
  async send(id: string, data: unknown = id): Promise<number> {
    while (!this.#ended) {
      const ack = await this.#request<Ack<"sendMessage">>("sendMessage", { room: this.room, id, data });
      if (ack?.ok) {
        this.acked.set(id, ack.seq);
        return ack.seq;
      }
      if (ack !== undefined && !ack.error.retryable && ack.error.code !== "not_in_room") {
        throw new Error(`${ack.error.code}: ${ack.error.message}`);
      }
      await delay(ack?.error.retryAfterMs ?? RETRY_MS);
    }
    throw new Error(`the test ended before ${id} was acknowledged`);
  }

  stop(): void {
    this.#ended = true;
    this.socket.disconnect();
  }

  #joinUntilDone(): void {
    this.#join().catch((error: unknown) => this.violations.push(String(error)));
  }

  async #join(): Promise<void> {
    const { socket } = this;
    const connection = socket.id;
    while (!this.#ended && socket.connected && socket.id === connection && !this.#joined) {
      const since = this.#position;
      // A callback, not a promise: what follows an await runs after the messages that came in the same chunk.
      const answer = await new Promise<string>((resolve) => {
        socket
          .timeout(ACK_TIMEOUT_MS)
          .emit("joinRoom", { room: this.room, since }, (error: Error | null, ack: Ack<"joinRoom">) => {
            resolve(error === null && socket.id === connection ? this.#joinedBy(ack, since !== undefined) : "timeout");
          });
      });
      if (answer !== "ok") await delay(RETRY_MS);
    }
  }

  #joinedBy(ack: Ack<"joinRoom">, resumed: boolean): string {
    if (!ack.ok) {
      if (!ack.error.retryable && ack.error.code !== "superseded") this.violations.push(`join: ${ack.error.code}`);
      return ack.error.code;
    }
    if (ack.recovered) {
      if (!resumed) this.violations.push("recovered without since");
      this.recoveries += 1;
      for (const message of ack.messages) this.#take(message);
    } else {
      this.runs.push({ epoch: ack.position.epoch, from: ack.position.seq, messages: [] });
    }
    const last = this.#last();
    if (last !== ack.position.seq) this.violations.push(`the ack says ${ack.position.seq}, the stream is at ${last}`);
    this.#position = ack.position;
    this.#joined = true;
    if (this.#lostAt !== undefined) this.outagesMs.push(performance.now() - this.#lostAt);
    this.#lostAt = undefined;
    return "ok";
  }

  #hear(message: Message): void {
    if (message.room !== this.room) return;
    if (!this.#joined) this.violations.push(`message ${message.seq} before the ack of the join`);
    this.#take(message);
    if (this.#position !== undefined) this.#position = { ...this.#position, seq: message.seq, ts: message.ts };
  }

  #take(message: Message): void {
    const run = this.runs.at(-1);
    if (run === undefined) {
      this.violations.push(`message ${message.seq} before any join`);
      return;
    }
    const expected = this.#last() + 1;
    if (message.seq !== expected) this.violations.push(`message ${message.seq} where ${expected} was due`);
    run.messages.push(message);
  }

  #last(): number {
    const run = this.runs.at(-1);
    return run?.messages.at(-1)?.seq ?? run?.from ?? 0;
  }

  #request<Reply>(name: string, request: object): Promise<Reply | undefined> {
    return new Promise((resolve) => {
      this.socket.timeout(ACK_TIMEOUT_MS).emit(name, request, (error: Error | null, ack: Reply) => {
        resolve(error === null ? ack : undefined);
      });
    });
  }
}
