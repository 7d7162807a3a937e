import { backoff } from "./backoff.js";

const HISTORY = 50;
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * One room on one connection, in the one order of its log. It joins at every `connect`, from where it stood, and says:
 *
 * - `joining()`: the answer is awaited
 * - `joined(ack, {resumed, recovered})`: in the room; `recovered` of the messages it had missed came with the answer
 * - `reload(messages, ack)`: forget what was shown, the room's messages are these (just before `joined`)
 * - `message(message, late)`: the next message; `late` if it came with the answer to a join
 * - `position(position)`: it stands here now
 * - `messageRemoved(seq)`: the application took that message back
 * - `presence(change)`: `userJoined`, `userLeft`, `userUpdated` or `presence`
 * - `signal(signal)`
 * - `resync(reason, inMs)`, `broken(expected, got)`: the stream ended, it joins again
 * - `joinFailed(error, retryInMs)`, `refused(error)`, `removed(removed)`: the last two are for good
 *
 * Every acknowledgement is a callback: after an `await`, messages that came in the same chunk would be handled first.
 */
export class RoomSession {
  room;
  /** Sent with every join. */
  state;
  #socket;
  #on;
  #phase = "out"; // out | joining | live | resyncing | ended
  #position;
  #attempt = 0;
  #failures = 0;
  #timer;

  constructor(socket, room, state, on) {
    this.#socket = socket;
    this.room = room;
    this.state = state;
    this.#on = on;
    const here = (handle) => (event) => {
      if (event.room === room && this.#phase !== "ended") handle(event);
    };
    socket.on("connect", () => {
      if (!this.ended) this.join();
    });
    socket.on("disconnect", () => this.#pause());
    socket.on(
      "message",
      here((message) => this.#receive(message)),
    );
    // An entry of the log like a message, with a place of its own.
    socket.on(
      "messageRemoved",
      here(({ seq, at }) => this.#receive({ ...at, removes: seq })),
    );
    socket.on("signal", here(on.signal));
    for (const name of ["userJoined", "userLeft", "userUpdated", "presence"]) {
      socket.on(
        name,
        here((change) => on.presence(name, change)),
      );
    }
    socket.on(
      "resync",
      here((event) => this.#resync(event)),
    );
    socket.on(
      "removed",
      here((event) => this.#removed(event)),
    );
  }

  /** Whether it still wants to be in the room. */
  get ended() {
    return this.#phase === "ended";
  }

  /** Whether the stream of messages runs. */
  get live() {
    return this.#phase === "live";
  }

  /** Joins, from the position where it stands if it has one. Also the way back after `refused` or `removed`. */
  join() {
    clearTimeout(this.#timer);
    this.#phase = "joining";
    const attempt = ++this.#attempt;
    const since = this.#position;
    // `history` goes along, for the case that what was missed is no longer there: then the answer holds the newest.
    const request = { room: this.room, history: HISTORY, state: this.state };
    if (since !== undefined) request.since = since;
    this.#on.joining();
    this.#request("joinRoom", request, (lost, ack) => {
      if (attempt !== this.#attempt || this.#phase !== "joining") return;
      if (lost) this.#failed({ message: "no answer to joining", retryable: true });
      else if (ack.ok) this.#accept(ack, since);
      else this.#failed(ack.error);
    });
  }

  /** Asks for messages before `seq`; calls back with an error, or the messages and whether there are more. */
  earlier(seq, done) {
    const epoch = this.#position?.epoch;
    this.#request("getHistory", { room: this.room, before: seq, limit: HISTORY }, (lost, ack) => {
      if (lost) done({ message: "no answer" });
      else if (!ack.ok) done(ack.error);
      else if (ack.position.epoch !== epoch) done({ message: "the room began anew" });
      else done(undefined, ack.messages.filter(isMessage), ack.more);
    });
  }

  close() {
    clearTimeout(this.#timer);
    this.#phase = "ended";
  }

  members(done) {
    this.#request("getMembers", { room: this.room }, (lost, ack) => done(!lost && ack.ok ? ack : undefined));
  }

  setState(state, done) {
    this.state = state;
    if (this.#phase !== "live") return; // the next join carries it
    this.#request("setState", { room: this.room, state }, (lost, ack) => {
      if (!lost && !ack.ok) done(ack.error);
    });
  }

  /** At most once, and not at all while the connection is away. */
  signal(event, data) {
    if (this.#phase === "live") this.#socket.volatile.emit("sendSignal", { room: this.room, event, data });
  }

  #request(name, request, done) {
    // The stock client would keep it, and send it before the next join.
    if (!this.#socket.connected) return done(new Error("the connection is away"));
    this.#socket.timeout(REQUEST_TIMEOUT_MS).emit(name, request, done);
  }

  #accept(ack, since) {
    const resumed = since !== undefined && ack.recovered;
    let recovered = 0;
    if (resumed) {
      for (const message of ack.messages) {
        if (message.seq <= this.#position.seq) continue; // the join before this one had brought it
        if (message.seq !== this.#position.seq + 1) return this.#broken(message.seq);
        this.#take(message, true);
        recovered++;
      }
      if (ack.position.seq > this.#position.seq) return this.#broken(ack.position.seq);
    } else {
      this.#position = ack.position;
      this.#on.position(this.#position);
      this.#on.reload(ack.messages.filter(isMessage), ack);
    }
    this.#phase = "live";
    this.#failures = 0;
    this.#on.joined(ack, { resumed, recovered, first: since === undefined });
  }

  #receive(message) {
    // While a join is pending, the one before it may still bring messages: they count, if they are the next.
    const following = this.#phase === "live" || this.#phase === "joining";
    if (!following || this.#position === undefined) return;
    const expected = this.#position.seq + 1;
    if (message.seq === expected) this.#take(message, false);
    else if (message.seq > expected && this.#phase === "live") this.#broken(message.seq);
  }

  #take(message, late) {
    this.#position = { epoch: this.#position.epoch, seq: message.seq, ts: message.ts };
    if (message.removes === undefined) this.#on.message(message, late);
    else this.#on.messageRemoved(message.removes);
    this.#on.position(this.#position);
  }

  /** Roomcast promises no gaps. Should there be one all the same, say so, and load the room anew. */
  #broken(got) {
    this.#on.broken(this.#position.seq + 1, got);
    this.#position = undefined;
    this.join();
  }

  #resync({ reason, withinMs }) {
    clearTimeout(this.#timer);
    this.#phase = "resyncing";
    // Everybody in the room was told the same: a random moment keeps them from coming all at once.
    const inMs = Math.random() * withinMs;
    this.#on.resync(reason, inMs);
    this.#timer = setTimeout(() => this.join(), inMs);
  }

  #removed(removed) {
    clearTimeout(this.#timer);
    this.#phase = "ended";
    this.#position = undefined;
    this.#on.removed(removed);
  }

  #failed(error) {
    if (error.code === "superseded" || !this.#socket.connected) return;
    if (error.retryable) {
      this.#phase = "out";
      const retryInMs = error.retryAfterMs ?? backoff(this.#failures++);
      this.#on.joinFailed(error, retryInMs);
      this.#timer = setTimeout(() => this.join(), retryInMs);
    } else {
      this.#phase = "ended";
      this.#on.refused(error);
    }
  }

  #pause() {
    clearTimeout(this.#timer);
    if (this.#phase !== "ended") this.#phase = "out";
  }
}

/** In a page the taking back of a message stands in its place too; the message itself says that it was. */
function isMessage({ removes }) {
  return removes === undefined;
}
