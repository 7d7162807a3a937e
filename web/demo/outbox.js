import { backoff } from "./backoff.js";
import { randomText } from "./visit.js";

const ACK_TIMEOUT_MS = 5_000;
const MAX_PENDING = 100;
const ID_LENGTH = 20;
/** A retry this close to the end of the dedupe window, in milliseconds, might be stored a second time. */
const WINDOW_MARGIN_MS = 5_000;

/**
 * Messages on their way: one at a time, so that they are stored in the order written, each with an id of its own, and
 * again with the same id when the outcome is unknown. An entry ends when its own `message` arrives.
 *
 * An entry is `waiting`, `sending`, `stored` (acknowledged, its message not yet here) or `failed`.
 */
export class Outbox {
  #socket;
  #room;
  #on;
  #entries = [];
  #ready = false;
  #inFlight;
  #timer;
  #windowMs = 600_000;
  /** Where the room's log stands: an acknowledgement names only the `seq`. */
  epoch;

  /** `on`: `changed(entries)`, and `notInRoom()` when the server says that the room must be joined first. */
  constructor(socket, room, on) {
    this.#socket = socket;
    this.#room = room;
    this.#on = on;
  }

  /** From `welcome.limits.dedupe`, in seconds. */
  set dedupeSeconds(seconds) {
    this.#windowMs = seconds * 1_000;
  }

  /** False when too many are on their way already. */
  send(text) {
    if (this.#entries.length >= MAX_PENDING) return false;
    this.#entries.push({ id: randomText(ID_LENGTH), text, status: "waiting", attempts: 0, at: Date.now() });
    this.#changed();
    this.#next();
    return true;
  }

  /** The connection is in the room. */
  resume() {
    this.#ready = true;
    this.#next();
  }

  pause() {
    this.#ready = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  close() {
    this.pause();
    this.#entries = [];
  }

  /** One of this user's own messages arrived: it is no longer on its way. */
  arrived(id) {
    const rest = this.#entries.filter((entry) => entry.id !== id);
    if (rest.length === this.#entries.length) return;
    this.#entries = rest;
    this.#changed();
    if (this.#inFlight?.id !== id) return;
    this.#inFlight = undefined;
    this.#next();
  }

  /** The room was loaded anew: what was stored there is in the log, unless the log began anew too. */
  reloaded({ epoch, seq }) {
    const lost = (entry) => entry.epoch !== epoch || entry.seq > seq;
    this.#entries = this.#entries.filter((entry) => entry.status !== "stored" || lost(entry));
    for (const entry of this.#entries) {
      if (entry.status === "stored") this.#fail(entry, "it was stored, but the room's log has lost its end since");
    }
    this.#changed();
  }

  /** Sends a failed one again, with its own id. */
  retry(id) {
    const entry = this.#entries.find((candidate) => candidate.id === id);
    if (entry?.status !== "failed") return;
    Object.assign(entry, { status: "waiting", reason: undefined, attempts: 0, firstSentAt: undefined });
    this.#changed();
    this.#next();
  }

  discard(id) {
    this.arrived(id);
  }

  #next() {
    if (!this.#ready || this.#inFlight !== undefined || this.#timer !== undefined) return;
    const entry = this.#entries.find((candidate) => candidate.status === "waiting");
    if (entry === undefined) return;
    if (entry.firstSentAt !== undefined && Date.now() - entry.firstSentAt > this.#windowMs - WINDOW_MARGIN_MS) {
      this.#fail(entry, "nobody knows whether it was stored, and it is too late to ask");
      this.#changed();
      this.#next();
      return;
    }
    entry.status = "sending";
    entry.firstSentAt ??= Date.now();
    this.#inFlight = entry;
    this.#changed();
    const request = { room: this.#room, id: entry.id, data: { text: entry.text } };
    this.#socket.timeout(ACK_TIMEOUT_MS).emit("sendMessage", request, (lost, ack) => {
      // Its message may have been here first: then the next one is on its way already.
      if (this.#inFlight !== entry) return;
      this.#inFlight = undefined;
      this.#answered(entry, lost, ack);
      this.#next();
    });
  }

  #answered(entry, lost, ack) {
    if (!lost && ack.ok) {
      Object.assign(entry, { status: "stored", reason: undefined, seq: ack.seq, epoch: this.epoch });
    } else if (lost) {
      this.#wait(entry, { message: "no answer yet" });
    } else if (ack.error.code === "not_in_room") {
      this.#wait(entry, ack.error);
      this.#on.notInRoom();
    } else if (ack.error.retryable) {
      this.#wait(entry, ack.error);
    } else {
      this.#fail(entry, ack.error.message);
    }
    this.#changed();
  }

  #wait(entry, { message, retryAfterMs }) {
    entry.status = "waiting";
    entry.reason = message;
    if (!this.#ready) return; // the next `resume` sends it
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#next();
      },
      retryAfterMs ?? backoff(entry.attempts++),
    );
  }

  #fail(entry, reason) {
    entry.status = "failed";
    entry.reason = reason;
  }

  #changed() {
    this.#on.changed(this.#entries);
  }
}
