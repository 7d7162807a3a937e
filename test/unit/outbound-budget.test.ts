import { describe, expect, it, onTestFinished } from "vitest";
import { type Debtor, OutboundBudget } from "../../src/socket/outbound-budget.ts";

function budgetOver(owed: readonly number[], maxBytes: number): { closed: number[]; count: number } {
  const closed: number[] = [];
  const debtors: Debtor[] = owed.map((bytes) => ({ owed: bytes, close: () => closed.push(bytes) }));
  const budget = new OutboundBudget(maxBytes, () => debtors);
  onTestFinished(() => budget.stop());
  return { count: budget.enforce(), closed };
}

describe("OutboundBudget", () => {
  it("[G6] closes those that owe the most, and only until the rest is within the bound", () => {
    expect(budgetOver([10, 500, 30, 400, 0], 100)).toEqual({ closed: [500, 400], count: 2 });
    expect(budgetOver([10, 500, 30, 400, 0], 440)).toEqual({ closed: [500], count: 1 });
  });

  it("[G6] leaves everybody alone within the bound", () => {
    expect(budgetOver([10, 500, 30, 400, 0], 940)).toEqual({ closed: [], count: 0 });
    expect(budgetOver([], 0)).toEqual({ closed: [], count: 0 });
  });
});
