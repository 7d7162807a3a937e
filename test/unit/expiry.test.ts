import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Intervals } from "../../src/intervals.ts";
import { Expiries, type Expiring } from "../../src/socket/expiry.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;
/** As late as a look may be. */
const LATE_MS = 500;

/** One whose token ends in `inMs`; it is out once that was told. */
function someone(inMs: number) {
  const told: string[] = [];
  const everybody = new Set<Expiring>();
  const one = {
    expiresAt: Date.now() + inMs,
    warnedOf: undefined,
    expiring: (expiresAt: number) => told.push(`ends in ${Math.ceil((expiresAt - Date.now()) / 1_000)} s`),
    expired: () => {
      told.push("expired");
      everybody.delete(one);
    },
  };
  const expiries = new Expiries(() => everybody, new Intervals());
  everybody.add(one);
  expiries.note(one);
  return { one, told, expiries };
}

describe("Expiries", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("[G7] warns a minute before, and ends at the end", () => {
    const { told } = someone(10 * 60_000);
    vi.advanceTimersByTime(9 * 60_000 - 1);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(1 + LATE_MS);
    expect(told).toEqual(["ends in 60 s"]);
    vi.advanceTimersByTime(59_999 - LATE_MS);
    expect(told).toHaveLength(1);
    vi.advanceTimersByTime(1 + LATE_MS);
    expect(told).toEqual(["ends in 60 s", "expired"]);
  });

  it("[G7] a token for longer than a Node timer can wait (24.8 days) does not end at once", () => {
    const { told } = someone(100 * DAY_MS);
    vi.advanceTimersByTime(30_000);
    vi.setSystemTime(Date.now() + 100 * DAY_MS - 120_000);
    vi.advanceTimersByTime(LATE_MS);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(30_000);
    expect(told).toEqual(["ends in 60 s"]);
    vi.advanceTimersByTime(60_000);
    expect(told.at(-1)).toBe("expired");
  });

  it("tells nobody before it was made: a token that ends in this moment", () => {
    const { told } = someone(0);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(LATE_MS);
    expect(told).toEqual(["expired"]);
  });

  it("warns soon where less than a minute is left", () => {
    const { told } = someone(5_000);
    vi.advanceTimersByTime(LATE_MS);
    expect(told).toEqual(["ends in 5 s"]);
    vi.advanceTimersByTime(5_000);
    expect(told.at(-1)).toBe("expired");
  });

  it("goes by the new token after renewing, warns of that one anew, and is silent after stop", () => {
    const { one, told, expiries } = someone(5_000);
    vi.advanceTimersByTime(LATE_MS);
    one.expiresAt = Date.now() + 10 * 60_000;
    expiries.note(one);
    vi.advanceTimersByTime(60_000);
    expect(told).toEqual(["ends in 5 s"]);
    vi.advanceTimersByTime(8 * 60_000 + LATE_MS);
    expect(told).toEqual(["ends in 5 s", "ends in 60 s"]);
    expiries.stop();
    expiries.note(one);
    vi.advanceTimersByTime(DAY_MS);
    expect(told).toHaveLength(2);
  });

  it("[G7] a renewed token may end before the old one would have", () => {
    const { one, told, expiries } = someone(DAY_MS);
    vi.advanceTimersByTime(1_000);
    one.expiresAt = Date.now() + 2_000;
    expiries.note(one);
    vi.advanceTimersByTime(2_000 + LATE_MS);
    expect(told).toEqual(["ends in 2 s", "expired"]);
  });

  it("[G7] an end is told in time, however many come before it whose tokens end sooner", () => {
    const { told, expiries } = someone(2_000);
    for (let sooner = 1; sooner <= 6; sooner++) {
      vi.advanceTimersByTime(400);
      expiries.note({ ...someone(2_000 - 500 * sooner).one, expired: () => undefined, expiring: () => undefined });
    }
    vi.advanceTimersByTime(LATE_MS);
    expect(told).toEqual(["ends in 2 s", "expired"]);
  });

  it("[G7] goes on with the others after a listener of somebody's end has thrown", () => {
    const { one, told, expiries } = someone(1_000);
    let throws = true;
    const everybody = { ...one };
    const broken = {
      ...everybody,
      expired: () => {
        if (throws) throw new Error("broken");
      },
    };
    const both = new Expiries(() => [broken, one], new Intervals());
    expiries.stop();
    both.note(one);
    expect(() => vi.advanceTimersByTime(1_000 + LATE_MS)).toThrow("broken");
    throws = false;
    vi.advanceTimersByTime(LATE_MS);
    expect(told.at(-1)).toBe("expired");
  });

  it("looks at nobody before the first has something to hear", () => {
    let looks = 0;
    const one = { ...someone(10 * 60_000).one };
    const expiries = new Expiries(() => {
      looks += 1;
      return [one];
    }, new Intervals());
    expiries.note(one);
    vi.advanceTimersByTime(9 * 60_000 - 1);
    expect(looks).toBe(0);
    vi.advanceTimersByTime(1 + LATE_MS);
    const first = looks;
    expect(first).toBeGreaterThan(0);
    vi.advanceTimersByTime(50_000);
    expect(looks).toBe(first);
  });
});
