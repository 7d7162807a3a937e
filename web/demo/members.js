/** After a `getMembers` that failed, in milliseconds; also the shortest time between two. */
const REFRESH_MS = 2_000;
/** Most members in one answer. */
const PAGE_MEMBERS = 100;

/**
 * Who is in the room. `version` counts the changes: one that is more than one ahead means that this page missed some,
 * and asks for the whole list.
 */
export class Members {
  #known = new Map();
  #count = 0;
  #version = 0;
  /** Changes that came while the list was being loaded; undefined while it is complete. */
  #held = [];
  #loading = 0;
  #timer;
  #fetch;
  #changed;

  /** `fetch(done)` asks for the list and calls `done(list | undefined)`; `changed(members, count)` shows it. */
  constructor(fetch, changed) {
    this.#fetch = fetch;
    this.#changed = changed;
  }

  /** A join is on its way: its answer brings the list. */
  hold() {
    clearTimeout(this.#timer);
    this.#loading++;
    this.#held ??= [];
  }

  /** The list, as `joinRoom` and `getMembers` answer it. */
  load({ members, memberCount, version }) {
    this.#known = new Map(members.map((member) => [member.id, member]));
    this.#count = memberCount;
    this.#version = version;
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#show();
    for (const [name, change] of held) if (change.version > version) this.apply(name, change);
  }

  clear() {
    this.hold();
    this.#held = [];
    this.#known.clear();
    this.#count = 0;
    this.#show();
  }

  apply(name, change) {
    if (this.#held !== undefined) {
      this.#held.push([name, change]);
      return;
    }
    // Whatever its version. Past one page this list is never whole: then the summary is all that it needs.
    const lacksNames = change.partial && change.memberCount <= PAGE_MEMBERS;
    if (!lacksNames && change.version <= this.#version) return;
    if (lacksNames || change.version > this.#version + changesIn(name, change)) {
      this.#refresh();
      return;
    }
    this.#version = change.version;
    this.#count = change.memberCount ?? this.#count;
    if (name === "presence") {
      for (const user of change.left) this.#known.delete(user.id);
      for (const user of change.joined) this.#known.set(user.id, user);
    } else if (name === "userLeft") {
      this.#known.delete(change.user.id);
    } else {
      this.#known.set(change.user.id, change.user);
    }
    this.#show();
  }

  #refresh() {
    this.hold();
    const loading = this.#loading;
    this.#fetch((list) => {
      if (loading !== this.#loading) return; // a join took over
      if (list !== undefined) this.load(list);
      else this.#timer = setTimeout(() => this.#refresh(), REFRESH_MS);
    });
  }

  #show() {
    this.#changed([...this.#known.values()], this.#count);
  }
}

/** How many changes one event stands for. In large rooms one stands for many, and need not name them all. */
function changesIn(name, change) {
  if (name !== "presence") return 1;
  return change.partial ? Number.POSITIVE_INFINITY : Math.max(1, change.joined.length + change.left.length);
}
