/**
 * Numbers by the values of labels. Every combination is there from the start, at 0: a counter that appears with its first
 * event, at 1, has no growth that Prometheus could see, and the one `internal` of the night would be on no graph.
 */
export class LabelledCounts {
  readonly #counts = new Map<string, { readonly labels: Readonly<Record<string, string>>; count: number }>();

  /** The labels, and for each all of its values. */
  constructor(labels: Readonly<Record<string, readonly string[]>>) {
    let combinations: Record<string, string>[] = [{}];
    for (const [name, values] of Object.entries(labels)) {
      combinations = combinations.flatMap((others) => values.map((value) => ({ ...others, [name]: value })));
    }
    for (const combination of combinations) {
      this.#counts.set(Object.values(combination).join(" "), { labels: combination, count: 0 });
    }
  }

  /** One more of these values, in the order of the labels. */
  add(...values: readonly string[]): void {
    this.addMany(1, ...values);
  }

  /** So many more. */
  addMany(count: number, ...values: readonly string[]): void {
    const entry = this.#counts.get(values.join(" "));
    if (entry !== undefined) entry.count += count;
  }

  entries(): Iterable<{ readonly labels: Readonly<Record<string, string>>; readonly count: number }> {
    return this.#counts.values();
  }
}
