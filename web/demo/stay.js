import { Connection } from "./connection.js";
import { Members } from "./members.js";
import { Outbox } from "./outbox.js";
import { RoomSession } from "./room-session.js";
import { Typing } from "./typing.js";
import { chat, panel } from "./view.js";
import { cameBack, connectionLost, seconds, takenOut } from "./words.js";

/**
 * One stay in a room: connects, joins, and shows what comes on the page. Until it is told to `stop`, it comes back by
 * itself from whatever can be come back from; for the rest it shows why, and a button.
 */
export class Stay {
  room;
  name;
  /** The node that serves it, while there is one. */
  node;
  session;
  outbox;
  typing;
  #connection;
  #members;
  #list;
  #failed;
  /** Whether it was in the room before: a first join that fails goes back to the form. */
  #wasIn = false;
  #lostAt;
  #unread = 0;

  /** `failed(message)`: it never came in. */
  constructor({ room, name, state, tokens, list, failed }) {
    this.room = room;
    this.name = name;
    this.#list = list;
    this.#failed = failed;
    this.#connection = new Connection(tokens, this.#connectionEvents());
    const { socket } = this.#connection;
    this.session = new RoomSession(socket, room, state, this.#roomEvents());
    this.outbox = new Outbox(socket, room, {
      changed: (entries) => list.pending(entries),
      notInRoom: () => {
        if (!this.session.ended) this.session.join();
      },
    });
    this.#members = new Members(
      (done) => this.session.members(done),
      (members, count) => panel.members(members, count, list.self),
    );
    this.typing = new Typing((active) => this.session.signal("typing", { active }), chat.typing);
  }

  start() {
    chat.show(this.room);
    chat.status("Connecting…", "busy");
    chat.writable(true);
    panel.state(this.session.state.status);
    this.#list.clear();
    this.#list.self = undefined;
    this.#connection.start();
  }

  stop() {
    this.session.close();
    this.#connection.stop();
    this.outbox.close();
    this.typing.clear();
    this.#members.clear();
  }

  /** The page is looked at again. */
  seen() {
    this.#unread = 0;
    document.title = `${this.room} · Roomcast`;
  }

  #connectionEvents() {
    return {
      welcome: ({ node, user, limits }) => {
        this.node = node;
        this.#list.self = user.id;
        this.outbox.dedupeSeconds = limits.dedupe;
        chat.node(node, this.#connection.transport);
        panel.event("good", `connected to ${node}`);
      },
      transport: (name) => {
        if (this.node !== undefined) chat.node(this.node, name);
      },
      lost: (reason) => {
        panel.event("bad", connectionLost(this.node, reason));
        this.#away();
        chat.banner(undefined);
        chat.status("Reconnecting…", "busy");
      },
      unreachable: () => panel.event("bad", "no node answers yet, trying again"),
      ended: (message) => {
        this.#away();
        this.#gone("Disconnected", message, "Connect again", () => this.#connection.start());
      },
      stalled: (since) => {
        chat.status("Late", "busy");
        panel.event("bad", `${this.node} does not hear Redis since ${new Date(since).toLocaleTimeString()}`);
        chat.banner(`${this.node} does not hear Redis. Nothing is lost, but it will be late.`);
      },
      restored: () => {
        if (this.session.live) chat.status("Live", "good");
        panel.event("good", `${this.node} hears Redis again`);
        chat.banner(undefined);
      },
      draining: (withinMs) => panel.event("info", `${this.node} is going: moving within ${seconds(withinMs)}`),
      tokenRenewed: () => panel.event("info", "the token was renewed"),
      tokenNotRenewed: (message) => panel.event("bad", `the token ends soon and was not renewed: ${message}`),
    };
  }

  #roomEvents() {
    const { room } = this;
    return {
      joining: () => {
        this.outbox.pause();
        this.#members.hold();
        chat.status(this.#wasIn ? "Catching up…" : "Joining…", "busy");
      },
      reload: (messages, { position }) => {
        this.#list.reload(messages);
        for (const message of messages) this.#settle(message);
        this.outbox.reloaded(position);
      },
      joined: (ack, how) => this.#joined(ack, how),
      messageRemoved: (seq) => this.#list.takenBack(seq),
      message: (message, late) => {
        this.#list.append(message, late);
        this.typing.silent(message.from.id);
        if (!this.#settle(message) && document.hidden) document.title = `(${++this.#unread}) ${room} · Roomcast`;
      },
      position: (position) => {
        this.outbox.epoch = position.epoch;
        chat.position(position);
      },
      presence: (event, change) => this.#members.apply(event, change),
      signal: ({ from, event, data }) => {
        if (event === "typing" && from.id !== this.#list.self) this.typing.heard(from, data?.active === true);
      },
      resync: (reason, inMs) => {
        chat.status("Catching up…", "busy");
        panel.event("info", `resync (${reason}): joining again in ${seconds(inMs)}`);
      },
      broken: (expected, got) => panel.event("bad", `#${got} came where #${expected} was due: loading the room anew`),
      joinFailed: (error, retryInMs) => {
        chat.status("Not in the room", "busy");
        panel.event("bad", `joining failed: ${error.message}; again in ${seconds(retryInMs)}`);
      },
      refused: (error) => this.#gone(room, error.message, "Try again", () => this.session.join()),
      removed: (removed) => {
        this.outbox.pause();
        this.typing.clear();
        this.#members.clear();
        this.#gone(undefined, takenOut(room, removed), "Join again", () => this.session.join());
      },
    };
  }

  #joined(ack, { resumed, recovered, first }) {
    this.#members.load(ack);
    chat.banner(undefined);
    chat.status("Live", "good");
    chat.writable(true);
    if (first) {
      panel.event("good", `joined ${this.room} at #${ack.position.seq}`);
    } else {
      const awayMs = this.#lostAt === undefined ? undefined : Date.now() - this.#lostAt;
      panel.event(resumed ? "good" : "info", cameBack(awayMs, resumed, recovered));
    }
    this.#wasIn = true;
    this.#lostAt = undefined;
    this.outbox.resume();
  }

  /** Whether it is this user's own message, which then is no longer on its way. */
  #settle(message) {
    if (message.from.id !== this.#list.self) return false;
    this.outbox.arrived(message.id);
    return true;
  }

  #away() {
    this.#lostAt ??= Date.now();
    this.node = undefined;
    this.outbox.pause();
    this.typing.clear();
    chat.node(undefined);
  }

  #gone(what, why, label, again) {
    if (!this.#wasIn) return this.#failed(why);
    const message = what === undefined ? why : `${what}: ${why}`;
    panel.event("bad", message);
    chat.status(this.node === undefined ? "Not connected" : "Not in the room", "bad");
    chat.writable(false);
    chat.banner(message, label, () => {
      chat.status("Connecting…", "busy");
      again();
    });
  }
}
