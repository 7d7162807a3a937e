import type { ClientRecord, Entry, Seen, Violation } from "../observations.ts";

/** A client's stream of one room between two breaks: from a join that was not recovered, or after `resync`. */
export interface Run {
  readonly epoch: string;
  /** Everything after this number must follow. */
  readonly from: number;
  readonly entries: readonly { readonly at: number; readonly entry: Entry }[];
  /** `told`: by `resync`, or by a join that was not recovered; `open`: it goes on, whether or not the client is connected. */
  readonly end: { readonly how: "open" | "told"; readonly at: number };
}

export interface Streams {
  readonly runs: readonly Run[];
  /** When the client was told that its stream is not continued. */
  readonly toldAt: readonly number[];
  /** What breaks the word of the join: a message while out of the room, a position that does not fit. */
  readonly violations: readonly Violation[];
}

interface OpenRun {
  epoch: string;
  from: number;
  entries: { at: number; entry: Entry }[];
}

type Joined = Extract<Seen, { kind: "joined" }>;

/** Cuts what a client saw of one room into runs. */
export function streamsOf(client: ClientRecord, room: string): Streams {
  const runs: Run[] = [];
  const toldAt: number[] = [];
  const violations: Violation[] = [];
  let open: OpenRun | undefined;
  let inRoom = false;
  const wrong = (at: number, text: string) =>
    violations.push({ rule: "wrong stream", at, text, client: client.name, room });
  const end = (how: Run["end"]["how"], at: number) => {
    if (open !== undefined) runs.push({ ...open, end: { how, at } });
    open = undefined;
  };
  const told = (at: number) => {
    // After `resync` the word holds until the next join, and that one says it again.
    if (open !== undefined || runs.length > 0) toldAt.push(at);
    end("told", at);
  };
  const join = (seen: Joined) => {
    const { at, since, recovered, position, messages } = seen;
    inRoom = true;
    if (!recovered) {
      told(at);
      open = { epoch: position.epoch, from: position.seq, entries: [] };
      return;
    }
    if (open === undefined || since === undefined) {
      wrong(at, "recovered, though the client had nothing to go on from");
      open = { epoch: position.epoch, from: position.seq, entries: [] };
      return;
    }
    if (position.epoch !== open.epoch) wrong(at, `recovered in ${position.epoch}, from ${open.epoch}`);
    for (const entry of messages) open.entries.push({ at, entry });
    const last = open.entries.at(-1)?.entry.seq ?? open.from;
    if (last !== position.seq) wrong(at, `the ack of the join says ${position.seq}, and its messages end at ${last}`);
  };

  for (const seen of client.seen) {
    if (seen.kind === "disconnected") inRoom = false;
    if (!("room" in seen) || seen.room !== room) continue;
    if (seen.kind === "joined") join(seen);
    else if (seen.kind === "resync") {
      inRoom = false;
      told(seen.at);
    } else if (seen.kind === "message") {
      if (!inRoom) wrong(seen.at, `message ${seen.entry.seq} while out of the room`);
      open?.entries.push({ at: seen.at, entry: seen.entry });
    }
  }
  end("open", Number.POSITIVE_INFINITY);
  return { runs, toldAt, violations };
}
