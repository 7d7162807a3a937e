import { setTimeout as delay } from "node:timers/promises";
import type { Socket } from "socket.io-client";
import type { Ack, Message, Replies, RequestName, ServerEvents, WirePosition } from "../src/protocol.ts";
import { type Faults, Ledger } from "./ledger.ts";

/** Longer than the server's own deadline: an answer that is not there by then will not come. */
const ACK_TIMEOUT_MS = 4_000;
const RETRY_MS = 250;
/** How long a request is repeated before its virtual user gives up. */
const GIVE_UP_MS = 30_000;
/** How long what was stored may take to arrive before it counts as missing. */
const SETTLE_MS = 5_000;
const LOOK_AGAIN_MS = 20;
/** Messages of history that are compared with what was received: one page. */
const COMPARED_MESSAGES = 500;

/**
 * A member of one room as an application would write it on the stock client: joins again on every connect with `since`,
 * joins anew on `resync`, sends again with the same id. It tells from the numbers what it did not receive, and so needs
 * no other member to compare with.
 */
export class Member {
  readonly #socket: Socket;
  readonly #room: string;
  readonly #onMessage: (message: Message) => void;
  readonly #closed: Faults[] = [];
  readonly #refusal = Promise.withResolvers<never>();
  /** How often each error code came, and `no_answer`. */
  readonly refusals = new Map<string, number>();
  #ledger: Ledger | undefined;
  #position: WirePosition | undefined;
  #joined = false;
  #left = false;
  /** The highest number acknowledged to this member in this stream. */
  #acknowledged = 0;
  received = 0;
  reconnects = 0;
  /** Streams that ended with the member being told. */
  reloads = 0;

  /** `onMessage` sees each message once. The socket must not be connected yet. */
  constructor(socket: Socket, room: string, onMessage: (message: Message) => void) {
    this.#socket = socket;
    this.#room = room;
    this.#onMessage = onMessage;
    this.#refusal.promise.catch(() => {});
    socket.on("message", (message: Message) => {
      if (message.room === room) this.#take(message);
    });
    socket.on("connect", () => this.#joinSoon(0));
    socket.on("disconnect", () => {
      this.#joined = false;
      if (!this.#left) this.reconnects += 1;
    });
    socket.on("resync", (event: ServerEvents["resync"]) => {
      if (event.room !== room) return;
      this.#joined = false;
      this.#position = undefined;
      this.#joinSoon(Math.random() * event.withinMs);
    });
    // Without data nobody answered, and the client tries again by itself.
    socket.on("connect_error", (error: Error & { data?: { code: string } }) => {
      if (error.data !== undefined) this.#refuse(error.data.code);
    });
  }

  /** Rejects with the code once a connection or a join is refused for good; never resolves. */
  get refused(): Promise<never> {
    return this.#refusal.promise;
  }

  /** Connects, and resolves once the room is joined. */
  async enter(): Promise<void> {
    this.#socket.connect();
    const deadline = Date.now() + GIVE_UP_MS;
    while (!this.#joined) {
      if (Date.now() > deadline) throw new Error("no_answer");
      await delay(LOOK_AGAIN_MS);
    }
  }

  /** Sends until the message is acknowledged. Resolves with whether that came about. */
  async send(id: string, data: unknown): Promise<boolean> {
    const ack = await this.#request("sendMessage", { room: this.#room, id, data });
    if (ack !== undefined) this.#acknowledged = Math.max(this.#acknowledged, ack.seq);
    return ack !== undefined;
  }

  /** Compares what was received with the log, once all of it had its time to arrive. To be called after the last send. */
  async audit(): Promise<Faults> {
    const history = await this.#request("getHistory", { room: this.#room, limit: COMPARED_MESSAGES });
    if (history === undefined) throw new Error("getHistory was not answered: nothing to compare with");
    const { messages, position } = history;
    const end = () => Math.max(position.seq, this.#acknowledged);
    const isComplete = () => this.#ledger?.epoch === position.epoch && this.#ledger.last >= end();
    const deadline = Date.now() + SETTLE_MS;
    while (!isComplete() && Date.now() < deadline) await delay(LOOK_AGAIN_MS);
    const ledger = this.#ledger;
    if (ledger === undefined) throw new Error("the room was never joined");
    // Another line of numbers, and nobody told this member: all that was compared is missing.
    if (ledger.epoch !== position.epoch) return this.#sum({ ...ledger.faults(), missing: messages.length });
    return this.#sum(ledger.faultsBeside(end(), messages));
  }

  /** What is wrong so far, by the numbers alone. */
  faults(): Faults {
    return this.#sum(this.#ledger?.faults());
  }

  get left(): boolean {
    return this.#left;
  }

  leave(): void {
    this.#left = true;
    this.#socket.disconnect();
  }

  #sum(last: Faults | undefined): Faults {
    const all = last === undefined ? this.#closed : [...this.#closed, last];
    const sum = { missing: 0, doubled: 0, outOfOrder: 0 };
    for (const faults of all) {
      sum.missing += faults.missing;
      sum.doubled += faults.doubled;
      sum.outOfOrder += faults.outOfOrder;
    }
    return sum;
  }

  #joinSoon(ms: number): void {
    const connection = this.#socket.id;
    setTimeout(() => {
      if (!this.#left && this.#socket.id === connection) this.#join(connection);
    }, ms);
  }

  /** By a callback: what follows an await runs after the handlers of messages that came in the same chunk. */
  #join(connection: string | undefined): void {
    const request = { room: this.#room, since: this.#position };
    this.#socket.timeout(ACK_TIMEOUT_MS).emit("joinRoom", request, (lost: Error | null, ack: Ack<"joinRoom">) => {
      if (this.#socket.id !== connection || this.#left) return;
      if (lost !== null) return this.#joinSoon(RETRY_MS);
      if (ack.ok) return this.#start(ack);
      this.#count(ack.error.code);
      if (ack.error.retryable) this.#joinSoon(ack.error.retryAfterMs ?? RETRY_MS);
      else if (ack.error.code !== "superseded") this.#refuse(ack.error.code);
    });
  }

  #start({ recovered, messages, position }: Replies["joinRoom"]): void {
    if (recovered) {
      for (const message of messages) this.#take(message);
    } else {
      if (this.#ledger !== undefined) {
        this.#closed.push(this.#ledger.faults());
        this.reloads += 1;
      }
      this.#ledger = new Ledger(position);
      this.#acknowledged = 0;
    }
    this.#position = position;
    this.#joined = true;
  }

  #take(message: Message): void {
    if (this.#ledger === undefined || !this.#ledger.take(message)) return;
    this.received += 1;
    if (this.#position !== undefined) this.#position = { ...this.#position, seq: message.seq, ts: message.ts };
    this.#onMessage(message);
  }

  /** Asks while the room is joined until the answer is ok; undefined where it never is. */
  async #request<Name extends RequestName>(name: Name, request: object): Promise<Replies[Name] | undefined> {
    const deadline = Date.now() + GIVE_UP_MS;
    while (!this.#left && Date.now() < deadline) {
      if (!this.#joined) {
        await delay(LOOK_AGAIN_MS);
        continue;
      }
      const ack = await this.#ask<Name>(name, request);
      if (ack?.ok) return ack;
      this.#count(ack?.error.code ?? "no_answer");
      // Asked just before a reconnect or a resync, and read just after.
      if (ack !== undefined && !ack.error.retryable && ack.error.code !== "not_in_room") return undefined;
      await delay(ack?.error.retryAfterMs ?? RETRY_MS);
    }
    return undefined;
  }

  #ask<Name extends RequestName>(name: Name, request: object): Promise<Ack<Name> | undefined> {
    return new Promise((resolve) => {
      this.#socket.timeout(ACK_TIMEOUT_MS).emit(name, request, (lost: Error | null, ack: Ack<Name>) => {
        resolve(lost === null ? ack : undefined);
      });
    });
  }

  #count(code: string): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
  }

  #refuse(code: string): void {
    this.#refusal.reject(new Error(code));
  }
}
