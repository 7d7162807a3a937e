// What every script's virtual user has in common. A whole stay is one function step on artillery's default engine, with
// the stock client. Artillery's socketio engine connects before its first step, when no token of one's own can be there
// yet (it has no beforeScenario), hangs on an acknowledgement that does not come, cannot hear what others send, and ends
// the whole run at the first reconnect that is refused (its `connect_error` calls the same callback a second time).
import { randomBytes, randomUUID } from "node:crypto";
import { io } from "socket.io-client";
import type { Message } from "../src/protocol.ts";
import { Member } from "./member.ts";
import { tokenFor } from "./token.ts";

/** What a step uses of artillery's virtual user. */
export interface Context {
  readonly vars: Readonly<Record<string, unknown>>;
}

/** Where artillery takes metrics from. */
export interface Metrics {
  emit(kind: "counter" | "histogram", name: string, value: number): void;
}

/** What a message of a load test carries. */
export interface Body {
  readonly text: string;
  /** When it was sent, in milliseconds of this thread's clock: a room's members are all in one thread. */
  readonly at: number;
}

/** What the rooms of this script in one worker thread of one run begin with: nobody else is in them. */
export const ROOM_PREFIX = `load:${randomBytes(6).toString("hex")}:`;

/** When each user of this thread last asked to join. */
const askedAt = new Map<string, number>();

/** The numbers that a script's config must have, all above 0. */
export function numbersOf<Name extends string>({ vars }: Context, names: readonly Name[]): Record<Name, number> {
  const entries = names.map((name) => {
    const value = Number(vars[name]);
    if (!(value > 0)) throw new Error(`${name} must be a number above 0, not ${vars[name]}`);
    return [name, value] as const;
  });
  return Object.fromEntries(entries) as Record<Name, number>;
}

/**
 * One virtual user: gets a token, and is a member of `room` for as long as `stay` lasts. Whatever becomes of it, what it
 * counted is reported, and its connection closed.
 */
export async function visit(
  { vars }: Context,
  metrics: Metrics,
  room: string,
  stay: (member: Member, user: string) => Promise<void>,
): Promise<void> {
  const target = String(vars.target);
  const user = randomUUID();
  const socket = io(target, {
    auth: { token: await tokenFor(user, target) },
    forceNew: true,
    autoConnect: false,
  });
  const time = (name: string, ms: number) => metrics.emit("histogram", `load.${name}`, ms);
  const member = new Member(socket, user, room, {
    message: ({ data }: Message) => time("receipt_ms", performance.now() - (data as Body).at),
    asked: () => askedAt.set(user, performance.now()),
    joined: (afterMs) => time("join_ms", afterMs),
    recovered: (afterMs) => time("recovery_ms", afterMs),
    came: (other) => {
      const since = askedAt.get(other);
      if (since !== undefined) time("presence_ms", performance.now() - since);
    },
    wrong: (what) => void process.stderr.write(`${new Date().toISOString()} ${user} in ${room}: ${what}\n`),
  });
  try {
    await Promise.race([stay(member, user), member.refused]);
  } finally {
    member.close();
    askedAt.delete(user);
    report(member, metrics);
  }
}

/** Zeros too: artillery's checks know only what was reported. */
function report(member: Member, metrics: Metrics): void {
  const { missing, doubled, outOfOrder } = member.faults();
  const counts = {
    delivered: member.delivered,
    missing,
    doubled,
    out_of_order: outOfOrder,
    signals_heard: member.signalsHeard,
    joins: member.joins,
    reconnects: member.reconnects,
    recovered: member.recoveries,
    reloads: member.reloads,
    wrong_views: member.attendance.wrong,
    views_reread: member.attendance.readAgain,
  };
  for (const [name, value] of Object.entries(counts)) metrics.emit("counter", `load.${name}`, value);
  for (const [code, times] of member.refusals) metrics.emit("counter", `load.refused.${code}`, times);
}
