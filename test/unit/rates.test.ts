import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type RateLimits, Rates } from "../../src/room/rates.ts";

const LIMITS: RateLimits = {
  join: { perSecond: 20, burst: 200 },
  send: { perSecond: 10, burst: 3 },
  signal: { perSecond: 50, burst: 1 },
  read: { perSecond: 20, burst: 40 },
  state: { perSecond: 5, burst: 10 },
  moderate: { perSecond: 10, burst: 20 },
  renew: { perSecond: 1, burst: 10 },
};

function atClock(start = 0) {
  const clock = { now: start };
  return { clock, rates: new Rates(LIMITS, () => clock.now) };
}

function taken(rates: Rates, kind: keyof RateLimits, tries: number): number {
  let count = 0;
  for (let i = 0; i < tries; i++) if (rates.take(kind) === undefined) count++;
  return count;
}

describe("[G9] rates", () => {
  test("a burst passes at once, and no more", () => {
    const { rates } = atClock(123_456.789);
    expect(taken(rates, "send", 10)).toBe(3);
  });

  test("says after how many milliseconds the next one passes, and then it does", () => {
    const { clock, rates } = atClock(5000);
    taken(rates, "send", 3);
    expect(rates.take("send")).toBe(100);
    clock.now += 100;
    expect(rates.take("send")).toBeUndefined();
    expect(rates.take("send")).toBe(100);
  });

  test("of many that are refused at once, each is told a moment of its own, and passes then", () => {
    const { clock, rates } = atClock(5000);
    const waits = Array.from({ length: 83 }, () => rates.take("send")).filter((wait) => wait !== undefined);
    expect(waits).toEqual(Array.from({ length: 80 }, (_, index) => (index + 1) * 100));
    const start = clock.now;
    for (const wait of waits) {
      clock.now = start + wait;
      expect(rates.take("send")).toBeUndefined();
    }
  });

  test("whoever does not wait is told moments further on, and none further than ten seconds", () => {
    const { clock, rates } = atClock();
    taken(rates, "send", 3);
    expect(rates.take("send")).toBe(100);
    clock.now += 40;
    expect(rates.take("send")).toBe(160);
    taken(rates, "send", 10_000);
    expect(rates.take("send")).toBe(10_000);
    clock.now += 60_000;
    taken(rates, "send", 3);
    expect(rates.take("send")).toBe(100);
  });

  test("a refused request costs nothing", () => {
    const { clock, rates } = atClock();
    taken(rates, "send", 1000);
    clock.now += 100;
    expect(taken(rates, "send", 1000)).toBe(1);
  });

  test("a quiet time fills the burst again, and not more than that", () => {
    const { clock, rates } = atClock();
    taken(rates, "send", 3);
    clock.now += 200;
    expect(taken(rates, "send", 10)).toBe(2);
    clock.now += 3_600_000;
    expect(taken(rates, "send", 10)).toBe(3);
  });

  test("kinds have budgets of their own, and so have connections", () => {
    const { rates } = atClock();
    taken(rates, "send", 10);
    expect(rates.take("signal")).toBeUndefined();
    expect(taken(rates, "join", 300)).toBe(200);
    expect(atClock().rates.take("send")).toBeUndefined();
  });

  test("a steady sender at exactly the rate is never refused", () => {
    const { clock, rates } = atClock(0.1);
    for (let i = 0; i < 5000; i++) {
      expect(rates.take("signal")).toBeUndefined();
      clock.now += 20;
    }
  });

  test("no span of time ever lets more through than burst and rate allow", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 300 }), { maxLength: 200 }), (pauses) => {
        const { clock, rates } = atClock();
        const passed: number[] = [];
        for (const pause of pauses) {
          clock.now += pause;
          if (rates.take("send") === undefined) passed.push(clock.now);
        }
        passed.forEach((from, first) => {
          passed.slice(first).forEach((to, more) => {
            expect(more + 1).toBeLessThanOrEqual(3 + Math.floor((to - from) / 100 + 1e-6));
          });
        });
      }),
    );
  });

  test("off lets everything through", () => {
    expect(taken(new Rates("off"), "state", 10_000)).toBe(10_000);
  });

  test("leaves no timer behind", () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const before = timers();
    for (let i = 0; i < 1000; i++) new Rates(LIMITS).take("send");
    expect(timers()).toBe(before);
  });
});
