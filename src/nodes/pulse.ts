/** How often a node speaks to itself, in milliseconds. */
const BEAT_MS = 500;
/** Not heard for this long: members are told that messages will be late. */
const STALLED_AFTER_MS = 2_000;
/** Redis takes what is published, and nothing comes back for this long: the subscription is dead, whatever TCP says. */
const DEAF_AFTER_MS = 3_000;

export interface PulseOptions {
  /** Publishes through the path that messages take. Rejects while Redis is away. */
  publish(beat: string): Promise<void>;
  /** Builds the subscribing connection anew. */
  resubscribe(): void;
  /** `since`: Unix milliseconds of the last beat that was heard. */
  stalled(since: number): void;
  restored(): void;
}

/**
 * Whether this node hears Redis: it publishes a beat to itself and listens for it. A connection that is open proves
 * nothing; a message that came the whole way does.
 */
export class Pulse {
  readonly #options: PulseOptions;
  readonly #timer: NodeJS.Timeout;
  #beat = 0;
  #heardAt = Date.now();
  #publishedSince: number | undefined;
  #stalled = false;

  constructor(options: PulseOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#tick(), BEAT_MS).unref();
  }

  get hearing(): boolean {
    return !this.#stalled;
  }

  /** For how long nothing was heard, in milliseconds. */
  get silentMs(): number {
    return Date.now() - this.#heardAt;
  }

  /** One of our own beats came back. */
  heard(): void {
    this.#heardAt = Date.now();
    this.#publishedSince = undefined;
    if (!this.#stalled) return;
    this.#stalled = false;
    this.#options.restored();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    if (!this.#stalled && this.silentMs > STALLED_AFTER_MS) {
      this.#stalled = true;
      this.#options.stalled(this.#heardAt);
    }
    if (this.#publishedSince !== undefined && Date.now() - this.#publishedSince > DEAF_AFTER_MS) {
      this.#publishedSince = undefined;
      this.#options.resubscribe();
    }
    this.#beat += 1;
    this.#options.publish(String(this.#beat)).then(
      () => {
        this.#publishedSince ??= Date.now();
      },
      () => {
        this.#publishedSince = undefined;
      },
    );
  }
}
