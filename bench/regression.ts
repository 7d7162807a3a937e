import type { Figure } from "./goals.ts";

/** By how much a ratio may be above the committed one. */
export const TOLERANCE = 0.25;

export interface Comparison {
  readonly name: string;
  readonly measured: number;
  readonly committed: number;
  readonly worse: boolean;
}

/**
 * Compares what both have. Worse is only what is above the committed ratio by more than the tolerance, and whose best round
 * is above the committed one's worst: machines have good and bad moments.
 */
export function compare(measured: readonly Figure[], committed: readonly Figure[]): Comparison[] {
  return measured.flatMap(({ name, spread }) => {
    const before = committed.find((figure) => figure.name === name)?.spread;
    if (before === undefined) return [];
    const worse = spread.median > before.median * (1 + TOLERANCE) && spread.min > before.max;
    return [{ name, measured: spread.median, committed: before.median, worse }];
  });
}
