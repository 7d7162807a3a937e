import { setTimeout as delay } from "node:timers/promises";
import type { Ack, Message, ServerEvents, WireMember, WirePosition } from "../src/protocol.ts";
import type { Departure } from "./fault.ts";
import type { Journal } from "./journal.ts";
import type { Line } from "./line.ts";
import type { ClientRecord, Seen } from "./observations.ts";
import { entryOf, readMembers } from "./pages.ts";
import { Picture } from "./picture.ts";

const RETRY_MS = 100;

interface Room {
  readonly name: string;
  position: WirePosition | undefined;
  isIn: boolean;
  readonly picture: Picture;
  asking: boolean;
}

/**
 * A member of some rooms as an application would write it on the stock client: joins on every connect with `since`, joins
 * anew on `resync`, sends again with the same id, counts versions of presence. It writes down whatever it sees.
 */
export class Member {
  readonly line: Line;
  readonly name: string;
  readonly user: string;
  readonly seen: Seen[] = [];
  departed: ClientRecord["departed"];
  readonly #journal: Journal;
  readonly #rooms: ReadonlyMap<string, Room>;
  /** No more requests: the run is over. */
  #over = false;

  constructor(line: Line, user: string, rooms: readonly string[], journal: Journal) {
    this.line = line;
    this.name = line.client;
    this.user = user;
    this.#journal = journal;
    this.#rooms = new Map(
      rooms.map((name) => [name, { name, position: undefined, isIn: false, picture: new Picture(), asking: false }]),
    );
    this.#listen();
  }

  get rooms(): string[] {
    return [...this.#rooms.keys()];
  }

  isIn(room: string): boolean {
    return this.#rooms.get(room)?.isIn ?? false;
  }

  isInAll(): boolean {
    return this.rooms.every((room) => this.isIn(room));
  }

  /** Where it stands in the room's log. */
  positionIn(room: string): WirePosition | undefined {
    return this.#rooms.get(room)?.position;
  }

  usersIn(room: string): string[] {
    return this.#rooms.get(room)?.picture.users ?? [];
  }

  record(): ClientRecord {
    const here = this.rooms.filter((room) => this.isIn(room));
    const end = new Map(here.map((room) => [room, { members: this.usersIn(room) }]));
    const { name, user, rooms, seen, departed } = this;
    return { name, user, rooms, seen, departed, end };
  }

  /** Sends until it is acknowledged, or the run is over; with `again`, once more after that, as if that ack had been lost. */
  async send(room: string, id: string, data: object, again: boolean): Promise<void> {
    const { sent, now } = { sent: this.#journal.sent, now: () => this.#journal.now() };
    const message = {
      client: this.name,
      room,
      id,
      firstAt: now(),
      connection: this.line.socket.id ?? "",
      tries: 0,
      acked: undefined as { at: number; seq: number; ts: number } | undefined,
      again: undefined as { seq: number; duplicate: boolean } | undefined,
    };
    while (!this.#over && this.departed === undefined) {
      if (!this.line.socket.connected || !this.isIn(room)) {
        await delay(RETRY_MS);
        continue;
      }
      if (message.tries === 0) {
        message.firstAt = now();
        message.connection = this.line.socket.id ?? "";
        sent.push(message);
      }
      message.tries += 1;
      const answer = await this.line.request<Ack<"sendMessage">>("sendMessage", { room, id, data });
      if (answer.kind === "answered" && answer.reply.ok) {
        const { seq, ts, duplicate } = answer.reply;
        if (message.acked !== undefined) message.again = { seq, duplicate };
        message.acked ??= { at: now(), seq, ts };
        if (!again || message.again !== undefined) return;
        continue;
      }
      const wait = answer.kind === "answered" && !answer.reply.ok ? answer.reply.error.retryAfterMs : undefined;
      await delay(wait ?? RETRY_MS);
    }
  }

  async depart(how: Departure): Promise<void> {
    this.departed = { at: this.#journal.now(), how };
    if (how === "disconnects") this.line.close();
    if (how === "vanishes") this.line.vanish();
    if (how === "leaves") await Promise.all(this.rooms.map((room) => this.#leave(room)));
  }

  stop(): void {
    this.#over = true;
    this.line.close();
  }

  async #leave(name: string): Promise<void> {
    const room = this.#rooms.get(name);
    while (!this.#over && room !== undefined) {
      if (this.line.socket.connected) {
        const answer = await this.line.request<Ack<"leaveRoom">>("leaveRoom", { room: name });
        // After a reconnect it is in no room, and does not join again.
        if (answer.kind === "answered" && (answer.reply.ok || answer.reply.error.code === "not_in_room")) break;
      }
      await delay(RETRY_MS);
    }
    if (room !== undefined) room.isIn = false;
  }

  #listen(): void {
    const { socket } = this.line;
    const at = () => this.#journal.now();
    socket.on("welcome", ({ node }: ServerEvents["welcome"]) => this.seen.push({ kind: "connected", at: at(), node }));
    socket.on("connect", () => {
      for (const room of this.#rooms.values()) this.#beginJoin(room);
    });
    socket.on("disconnect", (reason) => {
      this.seen.push({ kind: "disconnected", at: at(), reason });
      for (const room of this.#rooms.values()) room.isIn = false;
    });
    socket.on("ending", ({ code }: ServerEvents["ending"]) => this.seen.push({ kind: "ending", at: at(), code }));
    socket.on("connect_error", (error: Error & { data?: { code: string } }) => {
      // Without data it is no answer of a node, and the client comes again.
      if (error.data !== undefined) this.seen.push({ kind: "refused", at: at(), code: error.data.code });
    });
    socket.on("message", (message: Message) => this.#hear(message));
    socket.on("resync", ({ room: name, reason }: ServerEvents["resync"]) => {
      this.seen.push({ kind: "resync", at: at(), room: name, reason });
      const room = this.#rooms.get(name);
      if (room === undefined) return;
      room.position = undefined;
      room.isIn = false;
      this.#beginJoin(room);
    });
    for (const kind of ["stalled", "restored"] as const) socket.on(kind, () => this.seen.push({ kind, at: at() }));
    socket.on("userJoined", (event: ServerEvents["userJoined"]) => this.#change(event, [event.user], []));
    socket.on("userLeft", (event: ServerEvents["userLeft"]) => this.#change(event, [], [event.user]));
    socket.on("presence", (event: ServerEvents["presence"]) => {
      if (event.partial) this.#askMembers(event.room);
      else this.#change(event, event.joined, event.left);
    });
  }

  #beginJoin(room: Room): void {
    if (this.departed !== undefined) return;
    this.#join(room).catch((error: unknown) => {
      throw error;
    });
  }

  async #join(room: Room): Promise<void> {
    const { socket } = this.line;
    const connection = socket.id;
    const isWanted = () => !this.#over && this.departed === undefined && socket.connected && socket.id === connection;
    while (isWanted() && !room.isIn) {
      const since = room.position;
      const request = { room: room.name, ...(since && { since }) };
      const answer = await this.line.request<Ack<"joinRoom">>("joinRoom", request, (ack) => {
        if (ack.ok && socket.id === connection && this.departed === undefined) this.#joined(room, since, ack);
      });
      const isDone = answer.kind === "answered" && answer.reply.ok;
      if (!isDone) await delay(RETRY_MS);
    }
  }

  #joined(room: Room, since: WirePosition | undefined, ack: Extract<Ack<"joinRoom">, { ok: true }>): void {
    const { position, recovered } = ack;
    const messages = recovered ? ack.messages.map(entryOf) : [];
    const members = ack.members.map(({ id }) => id);
    this.seen.push({
      kind: "joined",
      at: this.#journal.now(),
      room: room.name,
      since,
      recovered,
      position,
      messages,
      members,
    });
    room.position = position;
    room.isIn = true;
    room.picture.replace(ack.members, ack.version, true);
    if (ack.cursor !== undefined) this.#askMembers(room.name);
  }

  #hear(message: Message): void {
    const room = this.#rooms.get(message.room);
    if (room === undefined) return;
    this.seen.push({ kind: "message", at: this.#journal.now(), room: room.name, entry: entryOf(message) });
    if (room.position !== undefined) room.position = { ...room.position, seq: message.seq, ts: message.ts };
  }

  #change(event: { room: string; version: number }, joined: readonly WireMember[], left: readonly WireMember[]): void {
    const room = this.#rooms.get(event.room);
    if (!room?.isIn) return;
    const outcome = room.picture.take(joined, left, event);
    if (outcome === "missed") this.#askMembers(room.name);
    // While it asks who is there, what it has is no picture that a change could contradict.
    if (outcome !== "taken" || room.asking) return;
    const at = this.#journal.now();
    for (const { id } of joined) this.seen.push({ kind: "userJoined", at, room: room.name, user: id });
    for (const { id } of left) this.seen.push({ kind: "userLeft", at, room: room.name, user: id });
  }

  #askMembers(name: string): void {
    const room = this.#rooms.get(name);
    if (room === undefined || room.asking) return;
    room.asking = true;
    this.#readMembers(room)
      .catch((error: unknown) => {
        throw error;
      })
      .finally(() => {
        room.asking = false;
      });
  }

  async #readMembers(room: Room): Promise<void> {
    while (!this.#over && room.isIn && this.line.socket.connected) {
      const connection = this.line.socket.id;
      const page = await readMembers(this.line, room.name);
      if (page !== undefined && room.isIn && this.line.socket.id === connection) {
        if (room.picture.replace(page.members, page.version, false)) {
          const members = page.members.map(({ id }) => id);
          this.seen.push({ kind: "members", at: this.#journal.now(), room: room.name, members });
          return;
        }
      }
      await delay(RETRY_MS);
    }
  }
}
