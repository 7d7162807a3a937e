/** So many messages stay on the page; the oldest go first, and come back by "Earlier messages". */
const MAX_SHOWN = 1_000;
const DROP_AT_ONCE = 200;
/** Messages of one person within this time, in milliseconds, stand under one name. */
const GROUP_MS = 5 * 60_000;
/** This close to the end, in pixels, counts as reading along. */
const END_PX = 60;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

/** The messages of the room, and below them those on their way. */
export class MessageList {
  /** The user's own id. */
  self;
  #list = document.querySelector("#messages");
  #pending = document.querySelector("#pending");
  #scroller = document.querySelector("#scroller");
  #earlier = document.querySelector("#earlier");
  #newer = document.querySelector("#newer");
  #empty = document.querySelector("#empty");
  #shown = [];
  #atEnd = true;
  #top = 0;
  #unseen = 0;
  #frame;

  /** `on`: `earlier(seq)`, `retry(id)`, `discard(id)`. */
  constructor(on) {
    this.on = on;
    this.#earlier.addEventListener("click", () => {
      this.#earlier.disabled = true;
      on.earlier(this.#shown[0].seq);
    });
    this.#newer.addEventListener("click", () => {
      this.#toEnd();
      this.#scroller.focus({ preventScroll: true });
    });
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // The keyboard of a phone, or a turned phone: who read the end goes on reading the end.
    new ResizeObserver(() => {
      if (this.#atEnd) this.#toEnd();
    }).observe(this.#scroller);
  }

  /** Shows these and nothing else. */
  reload(messages) {
    // Not read aloud: this is not news.
    this.#list.ariaBusy = "true";
    this.#shown = [...messages];
    this.#list.replaceChildren(...messages.map((message, index) => this.#row(message, messages[index - 1], false)));
    this.#list.ariaBusy = "false";
    this.#atEnd = true;
    this.#mayHaveEarlier();
    this.#follow();
  }

  append(message, late) {
    this.#list.append(this.#row(message, this.#shown.at(-1), late));
    this.#shown.push(message);
    if (this.#shown.length > MAX_SHOWN && this.#atEnd) this.#drop();
    if (!this.#atEnd) this.#unseen++;
    this.#follow();
  }

  /** What came before the oldest one shown; nothing where asking failed. */
  prepend(messages, more) {
    this.#earlier.disabled = false;
    const older = messages.filter((message) => message.seq < this.#shown[0].seq);
    const heightBefore = this.#scroller.scrollHeight;
    const oldest = this.#shown[0];
    this.#list.ariaBusy = "true";
    this.#list.firstElementChild.replaceWith(this.#row(oldest, older.at(-1), false));
    this.#list.prepend(...older.map((message, index) => this.#row(message, older[index - 1], false)));
    this.#list.ariaBusy = "false";
    this.#shown.unshift(...older);
    this.#mayHaveEarlier(more);
    this.#scroller.scrollTop += this.#scroller.scrollHeight - heightBefore;
  }

  /** A message that is shown may be: nobody reads it any more. */
  takenBack(seq) {
    const index = this.#shown.findIndex((message) => message.seq === seq);
    if (index === -1) return;
    this.#shown[index] = { ...this.#shown[index], data: null, removed: true };
    this.#list
      .querySelector(`[data-seq="${seq}"]`)
      ?.replaceWith(this.#row(this.#shown[index], this.#shown[index - 1], false));
  }

  /** Asking for earlier messages failed: the button may be tried again. */
  prependFailed() {
    this.#earlier.disabled = false;
  }

  /** The entries of the outbox. */
  pending(entries) {
    const had = this.#pending.childElementCount;
    this.#pending.replaceChildren(...entries.map((entry) => this.#pendingRow(entry)));
    if (entries.length > had) this.#toEnd();
    this.#follow();
  }

  clear() {
    this.reload([]);
    this.pending([]);
    this.#empty.hidden = true;
  }

  #row(message, before, late) {
    const row = element("li", "message");
    row.dataset.seq = message.seq;
    row.dataset.id = message.id;
    const grouped = before?.from.id === message.from.id && message.ts - before.ts < GROUP_MS;
    row.classList.toggle("grouped", grouped);
    row.classList.toggle("own", message.from.id === this.self);
    row.classList.toggle("late", late);
    const time = element("time", "time", sameDay(message.ts) ? clock.format(message.ts) : calendar.format(message.ts));
    time.dateTime = new Date(message.ts).toISOString();
    time.title = exact.format(message.ts);
    const head = element("p", "head");
    head.append(element("strong", "author", message.from.name || message.from.id), " ", time);
    const seq = element("span", "seq", `#${message.seq}`);
    seq.title = `Message ${message.seq} of this room's log`;
    const mark = element("p", "mark");
    if (late) mark.append(element("span", "late-mark", "recovered"), " ");
    mark.append(seq);
    row.append(avatar(message.from), head, body(message), mark);
    return row;
  }

  #pendingRow(entry) {
    const row = element("li", `message own pending ${entry.status}`);
    row.dataset.id = entry.id;
    const note = element("p", "pending-note", pendingNote(entry));
    if (entry.status === "failed") {
      note.append(
        button("Try again", () => this.on.retry(entry.id)),
        button("Discard", () => this.on.discard(entry.id)),
      );
    }
    row.append(element("p", "body", entry.text), note);
    return row;
  }

  #drop() {
    this.#shown.splice(0, DROP_AT_ONCE);
    for (let row = 0; row < DROP_AT_ONCE; row++) this.#list.firstElementChild.remove();
    const first = this.#list.firstElementChild;
    first.replaceWith(this.#row(this.#shown[0], undefined, first.classList.contains("late")));
    this.#mayHaveEarlier();
  }

  #mayHaveEarlier(more = true) {
    this.#earlier.hidden = this.#shown.length === 0 || this.#shown[0].seq === 1 || !more;
  }

  /** Once a frame, however many messages came: scrolls along, or says how many are below. */
  #follow() {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      this.#empty.hidden = this.#shown.length > 0 || this.#pending.childElementCount > 0;
      if (this.#atEnd) this.#toEnd();
      this.#newer.hidden = this.#unseen === 0;
      this.#newer.textContent = this.#unseen === 1 ? "1 new message ↓" : `${this.#unseen} new messages ↓`;
    });
  }

  #toEnd() {
    this.#atEnd = true;
    this.#unseen = 0;
    this.#newer.hidden = true;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#top = this.#scroller.scrollTop;
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    // Only who scrolls up leaves the end: the event comes late, and more messages may have made it longer since.
    const nearEnd = scrollHeight - scrollTop - clientHeight < END_PX;
    this.#atEnd = nearEnd || (this.#atEnd && scrollTop >= this.#top);
    this.#top = scrollTop;
    if (this.#atEnd && this.#unseen > 0) {
      this.#unseen = 0;
      this.#follow();
    }
  }
}

/** An initial on a colour of the user's own. */
export function avatar(user) {
  const letter = [...(user.name || user.id).trim()][0] ?? "?";
  const circle = element("span", "avatar", letter.toUpperCase());
  circle.ariaHidden = "true";
  circle.style.setProperty("--hue", hueOf(user.id));
  return circle;
}

/** A hue in degrees for an id (FNV-1a, so that ids which end alike do not look alike). */
function hueOf(id) {
  let hash = 0x811c9dc5;
  for (const character of id) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193);
  return (hash >>> 0) % 360;
}

/** An element whose content is text, whatever the text is. */
export function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function button(label, press) {
  const made = element("button", "link", label);
  made.type = "button";
  made.addEventListener("click", press);
  return made;
}

/** The text of a message of this page; anything else that an application sends to the room is shown as JSON. */
function body({ event, data, removed }) {
  if (removed) return element("p", "body", "This message was taken back.");
  const text = typeof data === "string" ? data : data?.text;
  if (event === "message" && typeof text === "string") return element("p", "body", text);
  const made = element("p", "body");
  made.append(element("span", "event-name", event), element("code", "json", JSON.stringify(data)));
  return made;
}

function pendingNote({ status, reason, seq }) {
  if (status === "sending") return "sending…";
  if (status === "stored") return `stored as #${seq}, on its way back`;
  if (status === "failed") return `Not sent: ${reason}. `;
  return reason === undefined ? "waiting to be sent" : `trying again: ${reason}`;
}

function sameDay(ts) {
  return new Date(ts).toDateString() === new Date().toDateString();
}
