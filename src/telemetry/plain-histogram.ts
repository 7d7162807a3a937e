/** A histogram that is only numbers: what happens on a hot path adds to them, and prom-client sees them at the scrape. */
export class PlainHistogram {
  /** Upper bounds, rising. */
  readonly bounds: readonly number[];
  /** How many values fell into each bucket, not summed up; the last is above all bounds. */
  readonly counts: number[];
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  /** Adds a value `times` times. */
  observe(value: number, times = 1): void {
    let bucket = 0;
    while (bucket < this.bounds.length && value > (this.bounds[bucket] ?? 0)) bucket += 1;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + times;
    this.sum += value * times;
    this.count += times;
  }
}
