import type { ClientRecord, Entry, Observations, Rule, Violation } from "../observations.ts";
import { type Run, streamsOf } from "./runs.ts";

/** Every client's stream is the log's, from its join on, without gap, double or disorder, or it was told. */
export function checkStreams(observed: Observations): Violation[] {
  const numbers = new Numbers();
  for (const [room, { position, log }] of observed.rooms) {
    for (const entry of log) numbers.add(room, position.epoch, entry);
  }
  const violations: Violation[] = [];
  for (const client of observed.clients) {
    for (const room of client.rooms) violations.push(...checkClient(observed, numbers, client, room));
  }
  return violations;
}

function checkClient(observed: Observations, numbers: Numbers, client: ClientRecord, room: string): Violation[] {
  const { runs, toldAt, violations } = streamsOf(client, room);
  const found = [...violations];
  const wrong = (rule: Rule, at: number, text: string) => found.push({ rule, at, text, client: client.name, room });
  for (const run of runs) {
    checkOrder(run, wrong);
    for (const { at, entry } of run.entries) {
      const other = numbers.add(room, run.epoch, entry);
      if (other !== undefined)
        wrong("wrong stream", at, `number ${entry.seq} is ${entry.id} here and ${other} elsewhere`);
    }
  }
  if (!observed.losesData) {
    for (const at of toldAt)
      wrong("told without need", at, "told that the stream is not continued, though nothing was lost");
  }
  const end = observed.rooms.get(room)?.position;
  const last = runs.at(-1);
  if (client.end.has(room) && end !== undefined && last !== undefined) checkEnd(last, end, wrong);
  return found;
}

type Wrong = (rule: Rule, at: number, text: string) => void;

/** The numbers of a run follow each other, each once; `ts` never runs backwards. */
function checkOrder(run: Run, wrong: Wrong): void {
  const seen = new Map<number, string>();
  const ids = new Map<string, number>();
  let due = run.from + 1;
  let ts = 0;
  for (const { at, entry } of run.entries) {
    const { seq, id } = entry;
    if (seen.has(seq)) wrong("doubled", at, `message ${seq} came twice`);
    else if (ids.has(id)) wrong("doubled", at, `${id} came as number ${ids.get(id)} and as ${seq}`);
    else if (seq < due) wrong("out of order", at, `message ${seq} where ${due} was due`);
    else if (seq > due) wrong("wrong stream", at, `message ${seq} where ${due} was due`);
    if (entry.ts < ts) wrong("out of order", at, `the ts of message ${seq} is before that of the one before`);
    seen.set(seq, id);
    ids.set(id, seq);
    due = Math.max(due, seq + 1);
    ts = Math.max(ts, entry.ts);
  }
}

/** Who is in the room at the end stands where the log ends. */
function checkEnd(run: Run, end: { epoch: string; seq: number }, wrong: Wrong): void {
  const last = run.entries.at(-1);
  const seq = last?.entry.seq ?? run.from;
  if (run.epoch === end.epoch && seq === end.seq) return;
  wrong("not delivered", last?.at ?? 0, `ends at ${seq} of ${run.epoch}, and the log at ${end.seq} of ${end.epoch}`);
}

/** Who was given which number, over all that saw it: the log, and every member. */
class Numbers {
  readonly #ids = new Map<string, string>();

  /** Returns the other id that has the number. */
  add(room: string, epoch: string, { seq, id }: Entry): string | undefined {
    const key = `${room} ${epoch} ${seq}`;
    const known = this.#ids.get(key);
    if (known === undefined) this.#ids.set(key, id);
    return known === id ? undefined : known;
  }
}
