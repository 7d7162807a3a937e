import { avatar, element } from "./message-list.js";

const MAX_EVENTS = 60;
const MAX_TYPING_NAMES = 3;
/** Enough of an epoch to tell it from another. */
const EPOCH_SHOWN = 6;

const find = (id) => document.querySelector(`#${id}`);
const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});

/** The form in front of the room. */
export const entry = {
  /** `enter({name, room, token})` with what was filled in; `token` may be empty. */
  onEnter(enter) {
    find("entry-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = find("name").value.trim();
      const room = find("room").value.trim();
      if (name !== "" && room !== "") enter({ name, room, token: find("token").value.trim() });
    });
  },

  show({ name, room, problem }) {
    if (name !== undefined) find("name").value = name;
    if (room !== undefined) find("room").value = room;
    find("entry-problem").textContent = problem ?? "";
    find("entry-problem").hidden = problem === undefined;
    if (/token/i.test(problem ?? "")) find("own-token").open = true;
    find("chat").hidden = true;
    find("entry").hidden = false;
    document.title = "Roomcast";
    (find("name").value === "" ? find("name") : find("enter")).focus();
  },
};

/** The room's frame: title, place, status, banner, who types. */
export const chat = {
  show(room) {
    find("entry").hidden = true;
    find("chat").hidden = false;
    find("room-title").textContent = room;
    find("composer").placeholder = `Message ${room}`;
    find("events").replaceChildren();
    chat.node(undefined);
    chat.position(undefined);
    chat.banner(undefined);
    chat.closeDetails();
    document.title = `${room} · Roomcast`;
  },

  onLeave(leave) {
    find("leave").addEventListener("click", leave);
  },

  /** `kind`: `good`, `busy` or `bad`. */
  status(text, kind) {
    const status = find("status");
    if (status.textContent !== text) status.textContent = text;
    status.dataset.kind = kind;
  },

  node(name, transport) {
    find("node").textContent = name ?? "–";
    find("node").title = name === undefined ? "" : `This page is connected to ${name} by ${transport}`;
    find("kill").textContent = `Kill ${name ?? "this node"}`;
    find("kill").disabled = name === undefined;
  },

  position(position) {
    const place = find("position");
    place.textContent =
      position === undefined ? "" : `seq ${position.seq} · epoch ${position.epoch.slice(0, EPOCH_SHOWN)}`;
    place.dataset.epoch = position?.epoch ?? "";
    place.dataset.seq = position?.seq ?? "";
  },

  /** Says what needs attention, with one thing to do about it; nothing with `undefined`. */
  banner(text, label, act) {
    find("banner").hidden = text === undefined;
    find("banner-text").textContent = text ?? "";
    const action = find("banner-action");
    action.hidden = label === undefined;
    action.textContent = label ?? "";
    action.onclick = () => {
      chat.banner(undefined);
      act();
    };
  },

  typing(users) {
    const names = users.map((user) => user.name || user.id);
    const shown = names.length > MAX_TYPING_NAMES ? ["Several people"] : names;
    const verb = shown.length > 1 || names.length > MAX_TYPING_NAMES ? "are" : "is";
    find("typing").textContent = names.length === 0 ? "" : `${shown.join(" and ")} ${verb} typing…`;
  },

  /** `send(text)` answers whether it took the text; `input(text)` at each change. */
  onCompose({ send, input }) {
    const composer = find("composer");
    const form = find("composer-form");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = composer.value.trim();
      if (text !== "" && send(text)) composer.value = "";
      composer.focus();
    });
    composer.addEventListener("input", () => input(composer.value));
    composer.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
  },

  /** Whether writing makes sense; focus goes to the composer, but not so that a phone's keyboard covers the room. */
  writable(able) {
    find("composer").disabled = !able;
    find("send").disabled = !able;
    if (able && document.activeElement === document.body && matchMedia("(pointer: fine)").matches)
      find("composer").focus();
  },

  initDetails() {
    const toggle = find("details-toggle");
    toggle.addEventListener("click", () => {
      const open = find("chat").classList.toggle("details-open");
      toggle.ariaExpanded = String(open);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || toggle.ariaExpanded !== "true") return;
      chat.closeDetails();
      toggle.focus();
    });
  },

  closeDetails() {
    find("chat").classList.remove("details-open");
    find("details-toggle").ariaExpanded = "false";
  },
};

/** Beside the messages: who is here, and what happened to the connection. */
export const panel = {
  members(members, count, self) {
    const own = members.filter((member) => member.id === self);
    const others = members.filter((member) => member.id !== self);
    const rows = [...own, ...others].map((member) => {
      const row = element("li", "member");
      row.dataset.user = member.id;
      const name = element("span", "member-name", member.name || member.id);
      name.title = member.id;
      row.append(avatar(member), name);
      if (member.id === self) row.append(element("span", "you", "you"));
      const state = stateText(member.state);
      if (state !== undefined) row.append(element("span", "state", state));
      return row;
    });
    find("members").replaceChildren(...rows);
    find("member-count").textContent = count === 0 ? "" : count;
    const more = count - members.length;
    find("more-members").hidden = more <= 0;
    find("more-members").textContent = `and ${more} more`;
    const status = own[0]?.state?.status;
    const select = find("own-state");
    if ([...select.options].some((option) => option.value === status)) select.value = status;
  },

  onState(change) {
    find("own-state").addEventListener("change", (event) => change(event.target.value));
  },

  state(status) {
    find("own-state").value = status;
  },

  /** `kind`: `good`, `info` or `bad`. */
  event(kind, text) {
    const row = element("li", `event ${kind}`);
    row.append(element("time", "time", clock.format(Date.now())), element("span", "event-text", text));
    find("events").prepend(row);
    while (find("events").childElementCount > MAX_EVENTS) find("events").lastElementChild.remove();
  },

  onKill(kill) {
    find("kill").addEventListener("click", kill);
  },

  showKill() {
    find("local").hidden = false;
  },
};

/** This page's own states are `{status}`; another application's are shown as they are. "here" needs no saying. */
function stateText(state) {
  if (state === undefined || Object.keys(state).length === 0 || state.status === "here") return undefined;
  return typeof state.status === "string" ? state.status : JSON.stringify(state);
}
