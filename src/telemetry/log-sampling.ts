/** Most lines of one text in one window: what a client can bring about must not fill the disk. */
const LINES_PER_WINDOW = 20;
const WINDOW_MS = 10_000;
/** Most texts that are counted at once; they stand in the code, but for those that end the process. */
const MOST_TEXTS = 1_000;

interface Window {
  began: number;
  lines: number;
}

/** Lets so many lines of each text through in a window, and counts those that it holds back. */
export class LogSampling {
  readonly #now: () => number;
  readonly #windows = new Map<string, Window>();

  /** `now`: a clock in milliseconds that never runs backwards. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** How many lines of this text were held back before this one, which is written; undefined where it is held back, too. */
  take(text: string): number | undefined {
    const now = this.#now();
    let window = this.#windows.get(text);
    if (window === undefined || now - window.began >= WINDOW_MS) {
      const suppressed = Math.max(0, (window?.lines ?? 0) - LINES_PER_WINDOW);
      if (this.#windows.size >= MOST_TEXTS) this.#windows.clear();
      window = { began: now, lines: 1 };
      this.#windows.set(text, window);
      return suppressed;
    }
    window.lines += 1;
    return window.lines > LINES_PER_WINDOW ? undefined : 0;
  }
}
