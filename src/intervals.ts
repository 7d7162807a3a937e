/** What comes due so soon after something else is called with it, in milliseconds. */
const SLACK_MS = 20;

interface Interval {
  readonly everyMs: number;
  readonly call: () => void;
  /** By `Intervals`' own clock, in milliseconds. */
  dueAt: number;
}

/**
 * What a node does again and again, in step: whatever is due about now is called in one turn of the event loop, and what it
 * asks of Redis leaves in one write. Being woken is most of what an idle node costs (docs/performance.md). Nothing here keeps
 * the process alive.
 */
export class Intervals {
  readonly #intervals = new Set<Interval>();
  readonly #begun = performance.now();
  readonly #woken: (lateMs: number) => void;
  #timer: NodeJS.Timeout | undefined;
  #wakesAt = 0;

  /** `woken`: told at each turn how late it is, in milliseconds: by so much the event loop is held. */
  constructor(woken: (lateMs: number) => void = () => undefined) {
    this.#woken = woken;
  }

  /**
   * Calls `call` every `everyMs` milliseconds, at multiples of that since this object was made, so that the first time may come
   * sooner. What a late event loop missed is not made up for. Returns how to stop it.
   */
  every(everyMs: number, call: () => void): () => void {
    const interval = { everyMs, call, dueAt: nextDue(this.#now, everyMs) };
    this.#intervals.add(interval);
    this.#wait();
    return () => {
      this.#intervals.delete(interval);
      this.#wait();
    };
  }

  get #now(): number {
    return performance.now() - this.#begun;
  }

  #wait(): void {
    clearTimeout(this.#timer);
    let next = Number.POSITIVE_INFINITY;
    for (const { dueAt } of this.#intervals) next = Math.min(next, dueAt);
    if (next === Number.POSITIVE_INFINITY) return;
    this.#wakesAt = next;
    this.#timer = setTimeout(() => this.#run(), Math.max(0, next - this.#now)).unref();
  }

  #run(): void {
    const now = this.#now;
    this.#woken(Math.max(0, now - this.#wakesAt));
    const until = now + SLACK_MS;
    const due = [...this.#intervals].filter(({ dueAt }) => dueAt <= until);
    for (const interval of due) interval.dueAt = nextDue(until, interval.everyMs);
    // Before the calls: one that throws ends nobody else's.
    this.#wait();
    for (const interval of due) if (this.#intervals.has(interval)) interval.call();
  }
}

/** The first multiple of `everyMs` after `now`. */
function nextDue(now: number, everyMs: number): number {
  return (Math.floor(now / everyMs) + 1) * everyMs;
}
