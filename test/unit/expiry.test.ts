import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Expiry } from "../../src/socket/expiry.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;

function expiry(inMs: number) {
  const told: string[] = [];
  const made = new Expiry(Date.now() + inMs, {
    expiring: (expiresAt) => told.push(`expiring in ${expiresAt - Date.now()}`),
    expired: () => told.push("expired"),
  });
  return { made, told };
}

describe("Expiry", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("[G7] warns a minute before, and ends at the end", () => {
    const { told } = expiry(10 * 60_000);
    vi.advanceTimersByTime(9 * 60_000 - 1);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(told).toEqual(["expiring in 60000"]);
    vi.advanceTimersByTime(59_999);
    expect(told).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(told).toEqual(["expiring in 60000", "expired"]);
  });

  it("[G7] a token for longer than a Node timer can wait (24.8 days) does not end at once", () => {
    const { told } = expiry(100 * DAY_MS);
    vi.advanceTimersByTime(100 * DAY_MS - 60_001);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(60_001);
    expect(told).toEqual(["expiring in 60000", "expired"]);
  });

  it("tells nobody before it was made: a token that ends in this moment", () => {
    const { told } = expiry(0);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(told).toEqual(["expired"]);
  });

  it("warns at once where less than a minute is left", () => {
    const { told } = expiry(5_000);
    vi.advanceTimersByTime(1);
    expect(told).toEqual(["expiring in 5000"]);
    vi.advanceTimersByTime(5_000);
    expect(told.at(-1)).toBe("expired");
  });

  it("goes by the new token after renewing, and is silent after stop", () => {
    const { made, told } = expiry(5_000);
    made.renew(Date.now() + 10 * 60_000);
    vi.advanceTimersByTime(60_000);
    expect(told).toEqual([]);
    made.stop();
    vi.advanceTimersByTime(DAY_MS);
    expect(told).toEqual([]);
  });
});
