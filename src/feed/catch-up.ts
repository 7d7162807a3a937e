import type { Entry, Page, Position } from "../log/room-log.ts";

/**
 * How an entry stands to a place in the stream.
 * - `next`: the one that follows; `old`: passed already; `gap`: others belong in between;
 * - `broken`: another epoch, or a fork: the log went on from something else than what was passed on.
 */
export type Step = "next" | "old" | "gap" | "broken";

/** Where a stream stands once `entry` was passed on. */
export function positionOf(entry: Entry): Position {
  return { epoch: entry.epoch, seq: entry.seq, ts: entry.ts };
}

export function samePosition(a: Position, b: Position): boolean {
  return a.seq === b.seq && a.ts === b.ts && a.epoch === b.epoch;
}

/** Compares by the chain, not by the number alone: each entry names the `ts` of the one before. */
export function stepTo(at: Position, entry: Entry): Step {
  if (entry.epoch !== at.epoch) return "broken";
  if (entry.seq === at.seq + 1) return entry.prev === at.ts ? "next" : "broken";
  if (entry.seq > at.seq) return "gap";
  return entry.seq === at.seq && entry.ts !== at.ts ? "broken" : "old";
}

/** What can be passed on, and why it ends there: `all` was used, or the next one does not fit. */
export interface Continuation {
  readonly entries: readonly Entry[];
  readonly at: Position;
  readonly end: "all" | "gap" | "broken";
}

/**
 * The one merge of everything that catches up: what was read from the log and then what was heard meanwhile, from `at`
 * on, each entry once, in order, without a hole. Both runs are in order; they may overlap.
 */
export function continueFrom(at: Position, read: readonly Entry[], heard: readonly Entry[]): Continuation {
  const entries: Entry[] = [];
  let place = at;
  for (const run of [read, heard]) {
    for (const entry of run) {
      const step = stepTo(place, entry);
      if (step === "gap" || step === "broken") return { entries, at: place, end: step };
      if (step === "next") {
        entries.push(entry);
        place = positionOf(entry);
      }
    }
  }
  return { entries, at: place, end: "all" };
}

/** Where a client says that it stands. */
export interface Claim {
  readonly epoch: string;
  readonly seq: number;
  /** Of the message at `seq`, where the client knows it. */
  readonly ts?: number | undefined;
}

/**
 * What a client missed since the place that it claims: from a page after that place which was read at or after the
 * moment of `fence`, the log's end as its join saw it. Undefined where the stream cannot be continued from there.
 */
export function missedSince(claim: Claim, fence: Position, page: Page): Continuation | undefined {
  const first = page.entries[0];
  if (page.head.epoch !== fence.epoch || first === undefined) return undefined;
  const from: Position = { epoch: claim.epoch, seq: claim.seq, ts: claim.ts ?? first.prev };
  const on = continueFrom(from, page.entries, []);
  return on.entries.length === 0 ? undefined : on;
}
