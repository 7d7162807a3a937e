// The processor of chat.yml. A whole stay is one function step on artillery's default engine, with the stock client: the
// socketio engine connects before its first step, when no token of one's own can be there yet (it has no beforeScenario),
// hangs on an acknowledgement that does not come, and cannot hear what others send. `.mts`, because artillery loads that
// as it is, and would bundle a `.ts` into a file beside it.
import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { io } from "socket.io-client";
import type { Message } from "../src/protocol.ts";
import type { Faults } from "./ledger.ts";
import { Member } from "./member.ts";
import { Seats } from "./seats.ts";
import { tokenFor } from "./token.ts";

/** What this step uses of artillery's virtual user. */
interface Context {
  readonly vars: Readonly<Record<string, unknown>>;
}

/** Where artillery takes metrics from. */
interface Metrics {
  emit(kind: "counter" | "histogram", name: string, value: number): void;
}

interface Settings {
  readonly target: string;
  /** Members that a room has at once, at most. */
  readonly roomSize: number;
  readonly stayMs: number;
  readonly sendEveryMs: number;
  /** Characters in each message, beside what the test itself puts into it. */
  readonly characters: number;
}

/** Rooms of one worker thread of one run: nobody else is in them. */
const seats = new Seats(`load:${randomBytes(6).toString("hex")}:`);

function settingsOf({ vars }: Context): Settings {
  const positive = (name: string) => {
    const value = Number(vars[name]);
    if (!(value > 0)) throw new Error(`${name} must be a number above 0, not ${vars[name]}`);
    return value;
  };
  return {
    target: String(vars.target),
    roomSize: positive("roomSize"),
    stayMs: positive("staySeconds") * 1_000,
    sendEveryMs: positive("sendEveryMs"),
    characters: positive("characters"),
  };
}

/** One virtual user: gets a token, joins a room, talks and listens for its stay, and compares itself with the log. */
export async function chat(context: Context, metrics: Metrics): Promise<void> {
  const settings = settingsOf(context);
  const user = randomUUID();
  const socket = io(settings.target, {
    auth: { token: await tokenFor(user, settings.target) },
    forceNew: true,
    autoConnect: false,
  });
  const { room, free } = seats.take(settings.roomSize);
  const sentAt = new Map<string, number>();
  const member = new Member(socket, room, ({ id }: Message) => {
    const since = sentAt.get(id);
    if (since !== undefined) metrics.emit("histogram", "chat.receipt_ms", performance.now() - since);
    sentAt.delete(id);
  });
  const stay = async () => {
    await member.enter();
    await talk(member, user, sentAt, settings, metrics);
    return await member.audit();
  };
  let faults: Faults | undefined;
  try {
    faults = await Promise.race([stay(), member.refused]);
  } finally {
    member.leave();
    free();
    report(member, faults ?? member.faults(), metrics);
  }
}

/** Sends at an even pace, whether or not the answers keep up, and waits for all of them. */
async function talk(
  member: Member,
  user: string,
  sentAt: Map<string, number>,
  { stayMs, sendEveryMs, characters }: Settings,
  metrics: Metrics,
): Promise<void> {
  const text = "x".repeat(characters);
  const answers: Promise<void>[] = [];
  const send = async (id: string) => {
    const since = performance.now();
    sentAt.set(id, since);
    metrics.emit("counter", "chat.sent", 1);
    if (!(await member.send(id, { text }))) return;
    metrics.emit("counter", "chat.acknowledged", 1);
    metrics.emit("histogram", "chat.ack_ms", performance.now() - since);
  };
  const start = performance.now();
  // Not all in the same moment.
  for (let due = Math.random() * sendEveryMs; due < stayMs && !member.left; due += sendEveryMs) {
    await delay(Math.max(0, start + due - performance.now()));
    answers.push(send(`${user}:${answers.length}`));
  }
  await Promise.all(answers);
}

/** Zeros too: artillery's checks know only what was reported. */
function report(member: Member, { missing, doubled, outOfOrder }: Faults, metrics: Metrics): void {
  const counts = {
    received: member.received,
    missing,
    doubled,
    out_of_order: outOfOrder,
    reconnects: member.reconnects,
    reloads: member.reloads,
  };
  for (const [name, value] of Object.entries(counts)) metrics.emit("counter", `chat.${name}`, value);
  for (const [code, times] of member.refusals) metrics.emit("counter", `chat.refused.${code}`, times);
}
