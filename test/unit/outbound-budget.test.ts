import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Intervals } from "../../src/intervals.ts";
import { type Debtor, OutboundBudget } from "../../src/socket/outbound-budget.ts";

/** How long a look at those who owe, and one at all, may wait, in milliseconds. */
const LOOK_MS = 500;
const LOOK_AT_ALL_MS = 10_000;

function budgetOf(maxBytes: number, everybody: readonly Debtor[] = []): OutboundBudget {
  return new OutboundBudget({ maxBytes, everybody: () => everybody, intervals: new Intervals() });
}

class Owing implements Debtor {
  owed: number;
  closed = false;
  bounded = 0;

  constructor(owed: number) {
    this.owed = owed;
  }

  bound(): void {
    this.bounded += 1;
  }

  close(): void {
    this.closed = true;
  }
}

function budgetOver(owed: readonly number[], maxBytes: number): { closed: number[]; count: number } {
  const budget = budgetOf(maxBytes);
  const debtors = owed.map((bytes) => new Owing(bytes));
  for (const one of debtors) budget.owes(one);
  const count = budget.enforce();
  return { count, closed: debtors.filter(({ closed }) => closed).map(({ owed: bytes }) => bytes) };
}

describe("OutboundBudget", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
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

  it("[G6] looks again by itself at who owes, and acts on what it owes by then", async () => {
    const budget = budgetOf(100);
    const [small, large] = [new Owing(10), new Owing(20)];
    for (const one of [small, large]) budget.owes(one);
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    expect(budget.owed).toBe(30);
    expect({ small: small.bounded, large: large.bounded }).toEqual({ small: 1, large: 1 });
    expect(large.closed).toBe(false);
    large.owed = 200;
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    expect({ small: small.closed, large: large.closed }).toEqual({ small: false, large: true });
  });

  it("[G6] finds who came to owe something without a word", async () => {
    const one = new Owing(0);
    const budget = budgetOf(100, [one]);
    one.bound = () => budget.owes(one);
    await vi.advanceTimersByTimeAsync(LOOK_AT_ALL_MS);
    expect(budget.owed).toBe(0);
    one.owed = 101;
    await vi.advanceTimersByTimeAsync(LOOK_AT_ALL_MS);
    expect(one.closed).toBe(true);
  });

  it("looks no more at who owes nothing by now, and says so, until it owes again", async () => {
    const budget = budgetOf(100);
    const one = new Owing(50);
    budget.owes(one);
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    one.owed = 0;
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    expect(budget.owed).toBe(0);
    one.owed = 101;
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    expect(one.closed).toBe(false);
    budget.owes(one);
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    expect(one.closed).toBe(true);
  });

  it("counts nobody who was released, also where that was its doing", async () => {
    const budget = budgetOf(100);
    const [gone, there] = [new Owing(90), new Owing(20)];
    for (const one of [gone, there]) budget.owes(one);
    budget.release(gone);
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    expect(budget.owed).toBe(20);
    there.owed = 200;
    there.close = () => budget.release(there);
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    expect(budget.owed).toBe(200);
    await vi.advanceTimersByTimeAsync(LOOK_MS);
    expect(budget.owed).toBe(0);
  });
});
