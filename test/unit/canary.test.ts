import { describe, expect, it } from "vitest";
import { CanaryPairs, DEADLINE_MS, GONE_AFTER_MS } from "../../src/canary/pairs.ts";
import { StoreClock } from "../../src/canary/store-clock.ts";

const stored = (from: string, seqs: readonly number[], ts = 1_000) => seqs.map((seq) => ({ from, seq, ts }));
const NOW = 1_000 + DEADLINE_MS;

describe("canary pairs", () => {
  it("count what the log holds of each sender, and what of it was heard in time", () => {
    const pairs = new CanaryPairs();
    pairs.heard(1, 3);
    pairs.heard(2, 40);
    pairs.heard(3, DEADLINE_MS + 1);
    pairs.heard(9, 1);
    pairs.compare([...stored("a", [1, 2, 3]), ...stored("b", [4, 9])], NOW);
    const counted = new Map(pairs.entries());
    expect(counted.get("a")).toMatchObject({ expected: 3, delivered: 2, lagMs: DEADLINE_MS + 1 });
    expect(counted.get("b"), "never heard: at least the deadline").toMatchObject({
      expected: 2,
      delivered: 1,
      lagMs: DEADLINE_MS,
    });
    pairs.heard(10, 7);
    pairs.compare(stored("a", [10]), NOW);
    expect(new Map(pairs.entries()).get("a"), "the lag is that of the last time").toMatchObject({
      expected: 4,
      delivered: 3,
      lagMs: 7,
    });
  });

  it("[G9] of a node that stores no more are gone, and 5,000 nodes have 101", () => {
    const pairs = new CanaryPairs();
    pairs.compare(stored("gone", [1]), NOW);
    pairs.compare(stored("here", [2], 1_000 + GONE_AFTER_MS), 1_000 + GONE_AFTER_MS);
    expect([...pairs.entries()].map(([from]) => from)).toEqual(["gone", "here"]);
    pairs.compare([], 1_001 + GONE_AFTER_MS);
    expect([...pairs.entries()].map(([from]) => from)).toEqual(["here"]);
    for (let n = 0; n < 5_000; n++) pairs.compare(stored(`node-${n}`, [n]), NOW);
    expect([...pairs.entries()]).toHaveLength(101);
  });

  it("keep what was heard for minutes, not for ever", () => {
    const pairs = new CanaryPairs();
    for (let seq = 0; seq < 60_000; seq++) pairs.heard(seq, 1);
    pairs.compare(stored("a", [0, 59_999]), NOW);
    expect(new Map(pairs.entries()).get("a")).toMatchObject({ expected: 2, delivered: 1 });
  });

  it("fail where most senders go unheard three times in a row: one that does not send well fails nobody else", () => {
    const pairs = new CanaryPairs();
    let seq = 0;
    const compare = (heard: readonly string[], missed: readonly string[]) => {
      for (const from of heard) {
        pairs.heard(++seq, 1);
        pairs.compare(stored(from, [seq]).concat(missed.flatMap((other) => stored(other, [++seq]))), NOW);
      }
      if (heard.length === 0)
        pairs.compare(
          missed.flatMap((other) => stored(other, [++seq])),
          NOW,
        );
      return pairs.failing;
    };
    for (let n = 0; n < 5; n++) expect(compare(["a"], ["b"])).toBe(false);
    expect([compare([], ["a", "b"]), compare([], ["a", "b"]), compare([], ["a", "b"])]).toEqual([false, false, true]);
    pairs.compare([], NOW);
    expect(pairs.failing, "nothing stored says nothing").toBe(true);
    expect(compare(["a"], [])).toBe(false);
  });
});

describe("the store's clock", () => {
  it("is taken from the quickest round trip of late", () => {
    const clock = new StoreClock();
    clock.sample(1_000, 61_050, 1_900);
    clock.sample(2_000, 62_006, 2_010);
    clock.sample(3_000, 63_500, 3_600);
    expect(clock.now - Date.now()).toBeGreaterThan(60_000);
    expect(clock.now - Date.now()).toBeLessThan(60_010);
    for (let n = 0; n < 30; n++) clock.sample(5_000, 5_050, 5_100);
    expect(Math.abs(clock.now - Date.now())).toBeLessThan(10);
  });
});
