/** While somebody types, the room hears of it once in this time, in milliseconds. */
const REPEAT_MS = 2_000;
/** A signal may be lost: who was not heard of for this long, in milliseconds, has stopped. */
const FORGET_MS = 4_500;

/** Who types, by signals of the event `typing`. */
export class Typing {
  #users = new Map();
  #saidAt = 0;
  #say;
  #changed;

  /** `say(active)` tells the room; `changed(users)` shows who types. */
  constructor(say, changed) {
    this.#say = say;
    this.#changed = changed;
  }

  /** The composer's text has changed. */
  input(text) {
    if (text.trim() === "") {
      this.stop();
    } else if (Date.now() - this.#saidAt >= REPEAT_MS) {
      this.#saidAt = Date.now();
      this.#say(true);
    }
  }

  stop() {
    if (Date.now() - this.#saidAt < FORGET_MS) this.#say(false);
    this.#saidAt = 0;
  }

  heard(user, active) {
    clearTimeout(this.#users.get(user.id)?.timer);
    if (active) {
      const timer = setTimeout(() => this.silent(user.id), FORGET_MS);
      this.#users.set(user.id, { user, timer });
      this.#show();
    } else {
      this.silent(user.id);
    }
  }

  /** This user has stopped: a message came, or the time is over. */
  silent(id) {
    const entry = this.#users.get(id);
    if (entry === undefined) return;
    clearTimeout(entry.timer);
    this.#users.delete(id);
    this.#show();
  }

  clear() {
    for (const { timer } of this.#users.values()) clearTimeout(timer);
    this.#users.clear();
    this.#show();
  }

  #show() {
    this.#changed([...this.#users.values()].map((entry) => entry.user));
  }
}
