import { setTimeout as delay } from "node:timers/promises";
import type { Member } from "./member.ts";
import type { Body, Metrics } from "./virtual-user.ts";

export interface Speech {
  readonly user: string;
  readonly forMs: number;
  readonly everyMs: number;
  /** Characters in each message, beside what the test itself puts into it. */
  readonly characters: number;
  /** Whether each message is preceded by the signal that somebody is typing. */
  readonly types: boolean;
}

/**
 * Sends at an even pace, whether or not the answers keep up, and waits for all of them. Resolves with how many messages
 * were acknowledged.
 */
export async function talk(
  member: Member,
  { user, forMs, everyMs, characters, types }: Speech,
  metrics: Metrics,
): Promise<number> {
  const text = "x".repeat(characters);
  const answers: Promise<void>[] = [];
  let acknowledged = 0;
  const send = async (id: string) => {
    const body: Body = { text, at: performance.now() };
    metrics.emit("counter", "load.sent", 1);
    if (!(await member.send(id, body))) return;
    acknowledged += 1;
    metrics.emit("counter", "load.acknowledged", 1);
    metrics.emit("histogram", "load.ack_ms", performance.now() - body.at);
  };
  const type = async () => {
    if (await member.signal("typing")) metrics.emit("counter", "load.signals", 1);
  };
  const start = performance.now();
  // Not all in the same moment.
  for (let due = Math.random() * everyMs; due < forMs && !member.isClosed; due += everyMs) {
    await delay(Math.max(0, start + due - performance.now()));
    if (types) answers.push(type());
    answers.push(send(`${user}:${answers.length}`));
  }
  await Promise.all(answers);
  return acknowledged;
}
