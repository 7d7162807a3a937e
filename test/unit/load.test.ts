import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { Ledger } from "../../load/ledger.ts";
import { OPTIONS } from "../../load/options.ts";
import { Seats } from "../../load/seats.ts";

const LOAD = join(import.meta.dirname, "../../load");
const NONE = { missing: 0, doubled: 0, outOfOrder: 0 };

function log(from: number, to: number): { seq: number; id: string }[] {
  return Array.from({ length: to - from + 1 }, (_, index) => ({ seq: from + index, id: `m${from + index}` }));
}

/** A ledger from position 4 that took these numbers. */
function ledgerOf(...numbers: readonly number[]): Ledger {
  const ledger = new Ledger({ epoch: "e", seq: 4, ts: 0 });
  for (const seq of numbers) ledger.take({ seq, id: `m${seq}` });
  return ledger;
}

describe("the ledger of a load test's member", () => {
  it("finds nothing wrong with a whole stream, beside a log that reaches further back", () => {
    expect(ledgerOf(5, 6, 7).faultsBeside(7, log(1, 7))).toEqual(NONE);
    expect(ledgerOf().faultsBeside(4, log(1, 4))).toEqual(NONE);
  });

  it("counts gaps, and what is due at the end", () => {
    expect(ledgerOf(5, 8).faults()).toEqual({ ...NONE, missing: 2 });
    expect(ledgerOf(6).faults()).toEqual({ ...NONE, missing: 1 });
    expect(ledgerOf(5, 8).faultsBeside(10, log(1, 10))).toEqual({ ...NONE, missing: 4 });
    expect(ledgerOf().faultsBeside(6, log(1, 6))).toEqual({ ...NONE, missing: 2 });
  });

  it("counts what comes again, and what comes late, which is not missing then", () => {
    expect(ledgerOf(5, 5, 6, 5, 4).faults()).toEqual({ ...NONE, doubled: 3 });
    expect(ledgerOf(6, 5, 7).faults()).toEqual({ ...NONE, outOfOrder: 1 });
    expect(ledgerOf(6, 5, 5).faults()).toEqual({ ...NONE, outOfOrder: 1, doubled: 1 });
  });

  it("counts another message under the log's number as missing", () => {
    const ledger = ledgerOf(5, 6);
    ledger.take({ seq: 7, id: "other" });
    expect(ledger.faultsBeside(7, log(5, 7))).toEqual({ ...NONE, missing: 1 });
  });

  it("keeps gaps for the whole stay, and ids for one page", () => {
    const numbers = log(6, 5_000).map(({ seq }) => seq);
    expect(ledgerOf(...numbers).faultsBeside(5_000, log(4_501, 5_000))).toEqual({ ...NONE, missing: 1 });
  });
});

describe("the rooms of a load test", () => {
  it("are filled one after the other, and a free seat is taken again", () => {
    const seats = new Seats("load:");
    const taken = [1, 2, 3].map(() => seats.take(2));
    expect(taken.map(({ room }) => room)).toEqual(["load:0", "load:0", "load:1"]);
    taken[0]?.free();
    expect(seats.take(2).room).toBe("load:0");
    expect(seats.take(2).room).toBe("load:1");
    expect(seats.take(2).room).toBe("load:2");
  });
});

describe("load/README.md", () => {
  const readme = readFileSync(join(LOAD, "README.md"), "utf8");
  const { config } = parse(readFileSync(join(LOAD, "chat.yml"), "utf8"));

  it("has every option with its meaning and chat.yml's default", () => {
    for (const [name, { meaning, path }] of Object.entries(OPTIONS)) {
      const value = path.reduce((holder, key) => holder[key], config);
      expect(readme).toContain(`| \`--${name}\` | ${value} | ${meaning} |`);
    }
    expect(readme).toContain(`| \`--target\` | \`${config.target}\` |`);
  });
});
