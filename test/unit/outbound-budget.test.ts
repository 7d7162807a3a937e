import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { type Debtor, OutboundBudget } from "../../src/socket/outbound-budget.ts";

/** How long a look may wait, in milliseconds. */
const LOOK_MS = 500;

function budgetOf(maxBytes: number): OutboundBudget {
  const budget = new OutboundBudget(maxBytes);
  onTestFinished(() => budget.stop());
  return budget;
}

function budgetOver(owed: readonly number[], maxBytes: number): { closed: number[]; count: number } {
  const closed: number[] = [];
  const budget = budgetOf(maxBytes);
  for (const bytes of owed) budget.owes({ owed: bytes, close: () => closed.push(bytes) });
  return { count: budget.enforce(), closed };
}

class Owing implements Debtor {
  owed = 0;
  closed = false;
  close(): void {
    this.closed = true;
  }
}

describe("OutboundBudget", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("[G6] closes those that owe the most, and only until the rest is within the bound", () => {
    expect(budgetOver([10, 500, 30, 400, 0], 100)).toEqual({ closed: [500, 400], count: 2 });
    expect(budgetOver([10, 500, 30, 400, 0], 440)).toEqual({ closed: [500], count: 1 });
  });

  it("[G6] leaves everybody alone within the bound", () => {
    expect(budgetOver([10, 500, 30, 400, 0], 940)).toEqual({ closed: [], count: 0 });
    expect(budgetOver([], 0)).toEqual({ closed: [], count: 0 });
  });

  it("[G6] looks again by itself while somebody owes, and acts on what they owe by then", async () => {
    const budget = budgetOf(100);
    const [small, large] = [new Owing(), new Owing()];
    [small.owed, large.owed] = [10, 20];
    for (const one of [small, large]) budget.owes(one);
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    expect(budget.owed).toBe(30);
    expect(large.closed).toBe(false);
    large.owed = 200;
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    expect({ small: small.closed, large: large.closed }).toEqual({ small: false, large: true });
  });

  it("is not woken while nobody owes, and begins again when somebody does", async () => {
    const budget = budgetOf(100);
    expect(vi.getTimerCount()).toBe(0);
    const one = new Owing();
    one.owed = 50;
    budget.owes(one);
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    one.owed = 0;
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    expect(budget.owed).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
    one.owed = 101;
    budget.owes(one);
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    expect(one.closed).toBe(true);
  });

  it("counts nobody who was released", async () => {
    const budget = budgetOf(100);
    const [gone, there] = [new Owing(), new Owing()];
    [gone.owed, there.owed] = [90, 20];
    for (const one of [gone, there]) budget.owes(one);
    budget.release(gone);
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    expect(budget.owed).toBe(20);
    expect(there.closed).toBe(false);
  });
});
