import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { continueFrom, stepTo } from "../../src/feed/catch-up.ts";
import type { Entry, Position } from "../../src/log/room-log.ts";

const EPOCH = "e1";
const BODY = Buffer.from("{}");

/** A log of `length` entries whose `ts` sometimes stand still, as Redis' clock does within a millisecond. */
const logs = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 60 }).map((steps) => {
  const entries: Entry[] = [];
  let prev = 0;
  for (const [index, step] of steps.entries()) {
    const ts = prev === 0 ? 1_000 : prev + step;
    entries.push({ epoch: EPOCH, seq: index + 1, ts, prev, body: BODY });
    prev = ts;
  }
  return entries;
});

function placeIn(log: readonly Entry[], seq: number): Position {
  return { epoch: EPOCH, seq, ts: log[seq - 1]?.ts ?? 0 };
}

const cut = fc.nat().map((n) => (length: number) => n % (length + 1));

describe("continueFrom", () => {
  it("[G2] gives each entry after the position once, in order, whatever the overlap of what was read and heard", () => {
    fc.assert(
      fc.property(logs, cut, cut, cut, (log, atCut, readCut, heardCut) => {
        const at = atCut(log.length);
        const readTo = Math.max(at, readCut(log.length));
        const heardFrom = Math.min(heardCut(log.length), readTo);
        const on = continueFrom(placeIn(log, at), log.slice(at, readTo), log.slice(heardFrom));
        expect(on.entries.map(({ seq }) => seq)).toEqual(log.slice(at).map(({ seq }) => seq));
        expect(on.end).toBe("all");
        expect(on.at).toEqual(placeIn(log, log.length));
      }),
    );
  });

  it("[G2] stops before a hole, and never passes anything beyond it", () => {
    fc.assert(
      fc.property(logs, cut, cut, (log, atCut, holeCut) => {
        const at = atCut(log.length);
        const hole = Math.max(at, holeCut(log.length)) + 1;
        fc.pre(hole < log.length);
        const on = continueFrom(
          placeIn(log, at),
          log.slice(at).filter(({ seq }) => seq !== hole),
          [],
        );
        expect(on.entries.map(({ seq }) => seq)).toEqual(log.slice(at, hole - 1).map(({ seq }) => seq));
        expect(on.end).toBe("gap");
      }),
    );
  });

  it("[G5] stops where the chain shows a fork, though the numbers go on", () => {
    fc.assert(
      fc.property(logs, cut, fc.integer({ min: 1, max: 9 }), (log, forkCut, shift) => {
        const fork = forkCut(log.length - 1);
        const forked = log.map((entry, index) => (index < fork ? entry : { ...entry, prev: entry.prev + shift }));
        const on = continueFrom(placeIn(log, 0), forked, []);
        expect(on.entries).toHaveLength(fork);
        expect(on.end).toBe("broken");
      }),
    );
  });

  it("[G5] never goes on into another epoch", () => {
    fc.assert(
      fc.property(logs, cut, (log, breakCut) => {
        const at = breakCut(log.length - 1);
        const other = log.map((entry, index) => (index < at ? entry : { ...entry, epoch: "e2" }));
        const on = continueFrom(placeIn(log, 0), other.slice(0, at), other.slice(at));
        expect(on.entries).toHaveLength(at);
        expect(on.end).toBe("broken");
      }),
    );
  });
});

describe("stepTo", () => {
  it("tells another entry at the very place where the stream stands", () => {
    const entry: Entry = { epoch: EPOCH, seq: 5, ts: 20, prev: 10, body: BODY };
    expect(stepTo({ epoch: EPOCH, seq: 5, ts: 20 }, entry)).toBe("old");
    expect(stepTo({ epoch: EPOCH, seq: 5, ts: 19 }, entry)).toBe("broken");
  });
});
