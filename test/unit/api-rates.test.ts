import { describe, expect, test } from "vitest";
import { ApiRates } from "../../src/http/api-rates.ts";

function rates(rate: ConstructorParameters<typeof ApiRates>[0] = { perSecond: 10, burst: 20 }) {
  const clock = { now: 1_000 };
  const headers = new Map<string, unknown>();
  const all = new ApiRates(rate, () => clock.now);
  const response = { set: (name: string, value: unknown) => headers.set(name, value) as never };
  return { clock, headers, take: (key: string, count = 1) => all.take(key, count, response as never) };
}

describe("[G9] rates of API keys", () => {
  test("a burst is told as it goes, and whole again after its window", () => {
    const { clock, headers, take } = rates();
    take("a");
    expect(Object.fromEntries(headers)).toEqual({
      "RateLimit-Policy": '"api";q=20;w=2',
      RateLimit: '"api";r=19;t=1',
    });
    take("a", 19);
    expect(headers.get("RateLimit")).toBe('"api";r=0;t=2');
    clock.now += 2_000;
    take("a", 20);
    expect(headers.get("RateLimit")).toBe('"api";r=0;t=2');
  });

  test("what does not fit takes nothing, and says when it will", () => {
    const { clock, headers, take } = rates();
    take("a", 15);
    expect(() => take("a", 10)).toThrow(expect.objectContaining({ code: "rate_limited", retryAfterMs: 500 }));
    expect(headers.get("RateLimit")).toBe('"api";r=5;t=2');
    clock.now += 500;
    take("a", 10);
  });

  test("keys have budgets of their own; off is no limit and no header", () => {
    const { take } = rates();
    take("a", 20);
    take("b", 20);
    expect(() => take("a")).toThrow();
    const off = rates("off");
    for (let i = 0; i < 100; i++) off.take("a", 1_000);
    expect(off.headers.size).toBe(0);
  });
});
