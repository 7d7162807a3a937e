import type { Entry, Observations, SentMessage, Violation } from "../observations.ts";

/** Every acknowledged message is in the log, once, under the number that its ack named; an id is in no log twice. */
export function checkStorage(observed: Observations): Violation[] {
  const violations: Violation[] = [];
  for (const [room, { log }] of observed.rooms) {
    const stored = new Map<string, Entry>();
    let ts = 0;
    for (const entry of log) {
      const first = stored.get(entry.id);
      const wrong = (text: string) =>
        violations.push({ rule: "not stored once", at: momentOf(observed, entry), text, room });
      if (first !== undefined) wrong(`${entry.id} is in the log as ${first.seq} and as ${entry.seq}`);
      if (entry.ts < ts) wrong(`the ts of ${entry.seq} in the log is before that of the one before`);
      stored.set(entry.id, entry);
      ts = Math.max(ts, entry.ts);
    }
    for (const message of observed.sent.filter((sent) => sent.room === room)) {
      violations.push(...checkMessage(message, stored.get(message.id), observed.losesData));
    }
  }
  return [...violations, ...checkSendOrder(observed)];
}

function checkMessage(message: SentMessage, entry: Entry | undefined, losesData: boolean): Violation[] {
  const { id, acked, again, room, client } = message;
  const violations: Violation[] = [];
  if (acked === undefined) return violations;
  const wrong = (text: string) => violations.push({ rule: "not stored once", at: acked.at, text, client, room });
  // Where Redis loses data its members must know: that is the delivery's part.
  if (entry === undefined && !losesData) wrong(`${id} was acknowledged as ${acked.seq}, and is not in the log`);
  if (entry !== undefined && !losesData && (entry.seq !== acked.seq || entry.ts !== acked.ts)) {
    wrong(`${id} was acknowledged as ${acked.seq}, and is in the log as ${entry.seq}`);
  }
  if (again !== undefined && !losesData && (!again.duplicate || again.seq !== acked.seq)) {
    wrong(`${id} was acknowledged as ${acked.seq}, and sent again as ${again.seq}, duplicate: ${again.duplicate}`);
  }
  return violations;
}

/** What one connection sent to a room, each at the first try, is stored in that order. */
function checkSendOrder({ sent, losesData }: Observations): Violation[] {
  const violations: Violation[] = [];
  const last = new Map<string, SentMessage>();
  for (const message of losesData ? [] : sent) {
    const { acked, tries, connection, room, id, client } = message;
    if (acked === undefined || tries > 1) continue;
    const before = last.get(`${connection} ${room}`);
    if (before?.acked !== undefined && before.acked.seq > acked.seq) {
      const text = `${before.id} was sent before ${id}, and stored after it (${before.acked.seq}, ${acked.seq})`;
      violations.push({ rule: "out of order", at: acked.at, text, client, room });
    }
    last.set(`${connection} ${room}`, message);
  }
  return violations;
}

function momentOf({ sent }: Observations, entry: Entry): number {
  return sent.find(({ id }) => id === entry.id)?.firstAt ?? 0;
}
