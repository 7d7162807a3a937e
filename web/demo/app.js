import { isLocalCluster, killNode } from "./local-cluster.js";
import { MessageList } from "./message-list.js";
import { Stay } from "./stay.js";
import { DevTokens, PastedToken } from "./token.js";
import { chat, entry, panel } from "./view.js";
import { deepLink, forget, recall, remember, showRoomInAddress, subjectFor } from "./visit.js";

const DEFAULT_ROOM = "chat:lobby";
const NAME_LENGTH = 40;

/** The stay in the room that is on the page; undefined in front of it. */
let stay;
/** The token that was pasted for it; empty where the node makes them. */
let ownToken = "";

const list = new MessageList({
  earlier: (seq) =>
    stay.session.earlier(seq, (error, messages, more) => {
      if (error === undefined) return list.prepend(messages, more);
      list.prependFailed();
      panel.event("bad", `earlier messages: ${error.message}`);
    }),
  retry: (id) => stay.outbox.retry(id),
  discard: (id) => stay.outbox.discard(id),
});

function enter({ name, room, token }) {
  stay?.stop();
  remember("name", name);
  remember("room", room);
  // A pasted token lives on the page only; a reload without it would be somebody else.
  if (token === "") remember("entered", room);
  else forget("entered");
  showRoomInAddress(room);
  const tokens = token === "" ? new DevTokens(subjectFor(name), name) : new PastedToken(token);
  const state = { status: recall("status") ?? "here" };
  stay = new Stay({ room, name, state, tokens, list, failed: leave });
  ownToken = token;
  stay.start();
}

function leave(problem) {
  const { room, name } = stay;
  stay.stop();
  stay = undefined;
  forget("entered");
  entry.show({ name, room, problem });
}

/** What the address asks for, else what this tab did before. Only what is certain is entered without a click. */
function begin() {
  const link = deepLink();
  const name = (link.name ?? recall("name"))?.trim().slice(0, NAME_LENGTH);
  const room = link.room ?? recall("room") ?? DEFAULT_ROOM;
  const linked = link.room !== undefined && link.name !== undefined;
  if (name && (linked || recall("entered") === room)) enter({ name, room, token: "" });
  else entry.show({ name, room });
}

entry.onEnter(enter);
chat.onLeave(() => leave());
chat.initDetails();
chat.onCompose({
  send: (text) => {
    const taken = stay.outbox.send(text);
    if (taken) stay.typing.stop();
    else panel.event("bad", "too many messages are on their way: wait for some of them");
    return taken;
  },
  input: (text) => stay.typing.input(text),
});
panel.onState((status) => {
  remember("status", status);
  stay.session.setState({ status }, (error) => panel.event("bad", `your state: ${error.message}`));
});
panel.onKill(async () => {
  const { node } = stay;
  panel.event("info", `killing ${node}`);
  const problem = await killNode(node);
  if (problem !== undefined) panel.event("bad", `${node} was not killed: ${problem}`);
});
addEventListener("hashchange", () => {
  if (stay === undefined) {
    begin();
    return;
  }
  const { room = stay.room, name = stay.name } = deepLink();
  if (room !== stay.room || name !== stay.name) enter({ name, room, token: ownToken });
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) stay?.seen();
});

begin();
if (await isLocalCluster()) panel.showKill();
