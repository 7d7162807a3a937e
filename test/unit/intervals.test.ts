import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Intervals } from "../../src/intervals.ts";

/** Says when it was called, in milliseconds since it was made. */
function recorder() {
  const begun = performance.now();
  const at: number[] = [];
  return { at, call: () => void at.push(Math.round(performance.now() - begun)) };
}

describe("Intervals", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  it("calls each at its own pace, and those that are due together in one turn", () => {
    const intervals = new Intervals();
    const [often, seldom] = [recorder(), recorder()];
    intervals.every(500, often.call);
    vi.advanceTimersByTime(120);
    intervals.every(1_000, seldom.call);
    vi.advanceTimersByTime(1_890);
    expect(often.at).toEqual([500, 1_000, 1_500, 2_000]);
    expect(seldom.at).toEqual([1_000, 2_000]);
    expect(vi.getTimerCount()).toBe(1);
  });

  it("calls those that come due almost together in one turn, and none of them twice for it", () => {
    const intervals = new Intervals();
    const [one, other] = [recorder(), recorder()];
    intervals.every(1_000, one.call);
    intervals.every(1_015, other.call);
    vi.advanceTimersByTime(1_500);
    expect(one.at).toEqual([1_000]);
    expect(other.at).toEqual([1_000]);
    vi.advanceTimersByTime(1_000);
    expect(one.at).toHaveLength(2);
    expect(other.at).toHaveLength(2);
  });

  it("keeps its pace where the event loop was late, and makes up for nothing", () => {
    let now = 0;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const late: number[] = [];
    const intervals = new Intervals((lateMs) => late.push(lateMs));
    const at: number[] = [];
    intervals.every(100, () => at.push(now));
    now = 350;
    vi.advanceTimersByTime(100);
    expect(at).toEqual([350]);
    vi.advanceTimersByTime(49);
    expect(at).toEqual([350]);
    now = 400;
    vi.advanceTimersByTime(1);
    expect(at).toEqual([350, 400]);
    expect(late).toEqual([250, 0]);
  });

  it("calls nobody who stopped, also not in the same turn, and sleeps once nobody is left", () => {
    const intervals = new Intervals();
    const { at, call } = recorder();
    const stops: (() => void)[] = [];
    stops.push(intervals.every(100, () => stops[1]?.()));
    stops.push(intervals.every(100, call));
    vi.advanceTimersByTime(500);
    expect(at).toEqual([]);
    stops[0]?.();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("goes on with the others where one throws", () => {
    const intervals = new Intervals();
    const { at, call } = recorder();
    intervals.every(100, () => {
      throw new Error("broken");
    });
    intervals.every(150, call);
    expect(() => vi.advanceTimersByTime(100)).toThrow("broken");
    vi.advanceTimersByTime(50);
    expect(at).toEqual([150]);
  });
});
