/** The middle of several measurements, with the least and the most of them. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The middle value; of an even number the mean of the middle two. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? Number.NaN;
  const lower = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** The value under which the share `p` (0 to 1) of the sorted values is, by nearest rank. NaN of none. */
export function percentile(sorted: ArrayLike<number>, p: number): number {
  const rank = Math.max(1, Math.ceil(sorted.length * p));
  return sorted[rank - 1] ?? Number.NaN;
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * How many times as much the first took as the second. Both were measured in turns, so `ours[i]` and `theirs[i]` are of one
 * round: the ratio is that of the medians, its spread that of the rounds.
 */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): Spread {
  const rounds = ours.flatMap((value, round) => {
    const other = theirs[round];
    return other === undefined ? [] : [value / other];
  });
  return { median: median(ours) / median(theirs), min: Math.min(...rounds), max: Math.max(...rounds) };
}
