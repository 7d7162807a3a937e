/** So many of the latest samples are kept: the quickest of them is the best. */
const SAMPLES = 30;

interface Sample {
  readonly offsetMs: number;
  readonly roundTripMs: number;
}

/** The store's clock as this node knows it, from what it stored and heard itself: exact to half a quick round trip. */
export class StoreClock {
  readonly #samples: Sample[] = [];
  #offsetMs = 0;

  /** The store's Unix milliseconds, now. */
  get now(): number {
    return Date.now() + this.#offsetMs;
  }

  /** Something that was sent at `sentAt` by this node's clock got `ts` from the store, and was back at `backAt`. */
  sample(sentAt: number, ts: number, backAt: number): void {
    this.#samples.push({ offsetMs: ts - (sentAt + backAt) / 2, roundTripMs: backAt - sentAt });
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    const [first, ...others] = this.#samples;
    if (first === undefined) return;
    this.#offsetMs = others.reduce((best, one) => (one.roundTripMs < best.roundTripMs ? one : best), first).offsetMs;
  }
}
