import { setTimeout as delay } from "node:timers/promises";
import type { Socket } from "socket.io-client";
import type { Ack, Message, Replies, ServerEvents, WirePosition } from "../src/protocol.ts";
import { Attendance } from "./attendance.ts";
import { type Faults, Ledger } from "./ledger.ts";
import { ACK_TIMEOUT_MS, GIVE_UP_MS, LOOK_AGAIN_MS, RETRY_MS, Requests } from "./requests.ts";
import { cutTcp } from "./tcp-cut.ts";

/** How long what was stored may take to arrive before it counts as missing. */
const SETTLE_MS = 5_000;
/** How long the members of a node that is gone may be in a room's presence, in milliseconds. */
const NODE_GONE_MS = 10_000;
/** Messages of history that are compared with what was received: one page. */
const COMPARED_MESSAGES = 500;
const NO_FAULTS: Faults = { missing: 0, doubled: 0, outOfOrder: 0 };

/** What a member tells while it is there. */
export interface MemberEvents {
  /** Each message, once. */
  message(message: Message): void;
  /** The room was asked to let this member in. */
  asked(): void;
  /** It did, so many milliseconds after it was asked. */
  joined(afterMs: number): void;
  /** The room goes on for this member, so many milliseconds after its connection was lost. */
  recovered(afterMs: number): void;
  /** Somebody else came, as news of presence tell. */
  came(user: string): void;
  /** What this member takes for the room's members is wrong: in words. */
  wrong(what: string): void;
}

/**
 * A member of one room as an application would write it on the stock client: joins again on every connect with `since`,
 * joins anew on `resync`, sends again with the same id, and follows who is there. It tells from the numbers what it did
 * not receive, and so needs no other member to compare with.
 */
export class Member {
  readonly #socket: Socket;
  readonly #room: string;
  readonly #events: MemberEvents;
  readonly #closed: Faults[] = [];
  readonly #refusal = Promise.withResolvers<never>();
  readonly #requests: Requests;
  readonly attendance: Attendance;
  #ledger: Ledger | undefined;
  /** What the comparison with the log said of this stream. */
  #audited: Faults | undefined;
  #position: WirePosition | undefined;
  #wanted = false;
  #joined = false;
  #closing = false;
  #lostAt: number | undefined;
  #graceMs = 0;
  /** The highest number acknowledged to this member in this stream. */
  #acknowledged = 0;
  delivered = 0;
  signalsHeard = 0;
  joins = 0;
  reconnects = 0;
  /** Joins that went on from where the member stood. */
  recoveries = 0;
  /** Streams that ended with the member being told. */
  reloads = 0;

  /** The socket must not be connected yet. */
  constructor(socket: Socket, user: string, room: string, events: MemberEvents) {
    this.#socket = socket;
    this.#room = room;
    this.#events = events;
    this.#requests = new Requests(socket);
    this.#refusal.promise.catch(() => {});
    this.attendance = new Attendance(socket, {
      user,
      room,
      isWanted: () => this.#wanted,
      members: () => this.#untilOk("getMembers", { room }),
      came: events.came,
      wrong: events.wrong,
    });
    this.#listen();
  }

  get refusals(): ReadonlyMap<string, number> {
    return this.#requests.refusals;
  }

  /** Rejects with the code once a connection or a join is refused for good; never resolves. */
  get refused(): Promise<never> {
    return this.#refusal.promise;
  }

  get isClosed(): boolean {
    return this.#closing;
  }

  /** Connects where it is not connected, and resolves once the room is joined. */
  async enter(): Promise<void> {
    this.#wanted = true;
    if (this.#socket.connected) this.#joinSoon(0);
    else this.#socket.connect();
    const deadline = Date.now() + GIVE_UP_MS;
    while (!this.#joined) {
      if (Date.now() > deadline) throw new Error("no_answer");
      await delay(LOOK_AGAIN_MS);
    }
  }

  /** Sends until the message is acknowledged. Resolves with whether that came about. */
  async send(id: string, data: unknown): Promise<boolean> {
    const ack = await this.#untilOk("sendMessage", { room: this.#room, id, data });
    if (ack !== undefined) this.#acknowledged = Math.max(this.#acknowledged, ack.seq);
    return ack !== undefined;
  }

  /** Signals once, at most. Resolves with whether it was accepted. */
  async signal(event: string): Promise<boolean> {
    if (!this.#joined) return false;
    return (await this.#requests.ask("sendSignal", { room: this.#room, event }))?.ok === true;
  }

  /** Loses the connection without a word; the client comes back by itself. */
  cut(): void {
    if (this.#socket.connected) cutTcp(this.#socket);
  }

  /** Compares what was received with the log, and who is there with the members; then leaves the room, for everybody. */
  async depart(): Promise<void> {
    this.#audited = await this.#audit();
    await this.attendance.compare();
    await this.#leaveRoom();
    this.#closed.push(this.#audited);
    this.#endStream();
    // A lost connection of this user counts as present until its grace is over, and until its node is known to be gone.
    await this.attendance.seeOneselfGone(this.reconnects > 0 ? this.#graceMs + NODE_GONE_MS : 0);
  }

  /** Goes without a word to the room; `enter` comes back by a new connection. */
  disconnect(): void {
    this.#wanted = false;
    this.#joined = false;
    this.#socket.disconnect();
  }

  close(): void {
    this.#closing = true;
    this.disconnect();
  }

  /** What is wrong so far: by the comparison with the log where there was one, else by the numbers alone. */
  faults(): Faults {
    const last = this.#audited ?? this.#ledger?.faults() ?? NO_FAULTS;
    const sum = { ...last };
    for (const faults of this.#closed) {
      sum.missing += faults.missing;
      sum.doubled += faults.doubled;
      sum.outOfOrder += faults.outOfOrder;
    }
    return sum;
  }

  #listen(): void {
    const socket = this.#socket;
    const here = <Event extends { room: string }>(handle: (event: Event) => void) => {
      return (event: Event) => {
        if (event.room === this.#room && this.#wanted) handle(event);
      };
    };
    socket.on(
      "message",
      here((message: Message) => this.#take(message)),
    );
    socket.on(
      "signal",
      here(() => {
        this.signalsHeard += 1;
      }),
    );
    socket.on(
      "resync",
      here((event: ServerEvents["resync"]) => {
        this.#joined = false;
        this.#position = undefined;
        this.#joinSoon(Math.random() * event.withinMs);
      }),
    );
    socket.on("welcome", ({ limits }: ServerEvents["welcome"]) => {
      this.#graceMs = limits.grace * 1_000;
    });
    socket.on("connect", () => this.#joinSoon(0));
    socket.on("disconnect", (reason) => {
      this.#joined = false;
      if (reason === "io client disconnect") return;
      // Also of who is leaving: the room counts such a user as present for the grace.
      this.reconnects += 1;
      if (this.#wanted) this.#lostAt ??= performance.now();
    });
    // Without data nobody answered, and the client tries again by itself.
    socket.on("connect_error", (error: Error & { data?: { code: string } }) => {
      if (error.data !== undefined) this.#refuse(error.data.code);
    });
  }

  #joinSoon(ms: number): void {
    const connection = this.#socket.id;
    setTimeout(() => {
      if (this.#wanted && this.#socket.id === connection) this.#join(connection);
    }, ms);
  }

  /** By a callback: what follows an await runs after the handlers of messages that came in the same chunk. */
  #join(connection: string | undefined): void {
    const request = { room: this.#room, since: this.#position };
    const since = performance.now();
    this.attendance.expectJoin();
    this.#events.asked();
    this.#socket.timeout(ACK_TIMEOUT_MS).emit("joinRoom", request, (lost: Error | null, ack: Ack<"joinRoom">) => {
      if (this.#socket.id !== connection || !this.#wanted) return;
      if (lost !== null) return this.#joinSoon(RETRY_MS);
      if (ack.ok) {
        this.#events.joined(performance.now() - since);
        return this.#start(ack);
      }
      this.#requests.count(ack.error.code);
      if (ack.error.retryable) this.#joinSoon(ack.error.retryAfterMs ?? RETRY_MS);
      else if (ack.error.code !== "superseded") this.#refuse(ack.error.code);
    });
  }

  #start(ack: Replies["joinRoom"]): void {
    const { recovered, messages, position } = ack;
    this.joins += 1;
    if (recovered) {
      this.recoveries += 1;
      for (const message of messages) this.#take(message);
    } else {
      if (this.#ledger !== undefined) {
        this.#closed.push(this.#ledger.faults());
        this.reloads += 1;
      }
      this.#ledger = new Ledger(position);
      this.#acknowledged = 0;
    }
    if (this.#lostAt !== undefined) this.#events.recovered(performance.now() - this.#lostAt);
    this.#lostAt = undefined;
    this.#position = position;
    this.attendance.start(ack);
    this.#joined = true;
  }

  #take(message: Message): void {
    if (this.#ledger === undefined || !this.#ledger.take(message)) return;
    this.delivered += 1;
    if (this.#position !== undefined) this.#position = { ...this.#position, seq: message.seq, ts: message.ts };
    this.#events.message(message);
  }

  /** Once all that was stored had its time to arrive. To be called after the last send. */
  async #audit(): Promise<Faults> {
    const history = await this.#untilOk("getHistory", { room: this.#room, limit: COMPARED_MESSAGES });
    if (history === undefined) throw new Error("getHistory was not answered: nothing to compare with");
    const { messages, position } = history;
    const end = () => Math.max(position.seq, this.#acknowledged);
    const isComplete = () => this.#ledger?.epoch === position.epoch && this.#ledger.last >= end();
    const deadline = Date.now() + SETTLE_MS;
    while (!isComplete() && Date.now() < deadline) await delay(LOOK_AGAIN_MS);
    const ledger = this.#ledger;
    if (ledger === undefined) throw new Error("the room was never joined");
    // Another line of numbers, and nobody told this member: all that was compared is missing.
    if (ledger.epoch !== position.epoch) return { ...ledger.faults(), missing: messages.length };
    return ledger.faultsBeside(end(), messages);
  }

  async #leaveRoom(): Promise<void> {
    this.#wanted = false;
    this.#joined = false;
    const deadline = Date.now() + GIVE_UP_MS;
    while (!this.#closing) {
      const ack = await this.#requests.ask("leaveRoom", { room: this.#room });
      // Not in it: an earlier try did it, or the connection was lost, and the room forgets this user after the grace.
      if (ack?.ok || ack?.error.code === "not_in_room") return;
      if (Date.now() > deadline) throw new Error("leaveRoom was not answered");
      await delay(ack?.error.retryAfterMs ?? RETRY_MS);
    }
  }

  #endStream(): void {
    this.#audited = undefined;
    this.#ledger = undefined;
    this.#position = undefined;
    this.#acknowledged = 0;
    this.#lostAt = undefined;
    this.attendance.stop();
  }

  /** Asks once the room is joined; who does not want to be in it asks anyway. */
  #untilOk<Name extends "sendMessage" | "getHistory" | "getMembers">(name: Name, request: object) {
    return this.#requests.untilOk(name, request, () => {
      if (this.#closing) return "stop";
      return this.#joined || !this.#wanted ? "ask" : "wait";
    });
  }

  #refuse(code: string): void {
    this.#refusal.reject(new Error(code));
  }
}
