import type { Intervals } from "../intervals.ts";

/** How often a node speaks to itself, in milliseconds. */
const BEAT_MS = 500;
/** Not heard for this long: members are told that messages will be late. */
const STALLED_AFTER_MS = 2_000;
/** Nothing could be written for this long: a beat more, or an outage would look like a refusal too. */
const REFUSED_AFTER_MS = STALLED_AFTER_MS + BEAT_MS;
/** While nothing can be written: how often another Redis is looked for at the same address, in milliseconds. */
const LOOK_AGAIN_MS = 5_000;
/** Redis takes what is published, and nothing comes back for this long: the subscription is dead, whatever TCP says. */
const DEAF_AFTER_MS = 3_000;

export interface PulseOptions {
  readonly intervals: Intervals;
  /** Publishes through the path that messages take. Rejects while Redis is away. */
  publish(beat: string): Promise<void>;
  /** Writes something small. Rejects while Redis is away or takes no writes; the error's message says why. */
  write(beat: string): Promise<void>;
  /** Builds the subscribing connection anew. */
  resubscribe(): void;
  /** A beat came back after so many seconds. */
  roundTrip(seconds: number): void;
  /** `since`: Unix milliseconds of the last beat that was heard. */
  stalled(since: number): void;
  restored(): void;
  /** Redis is heard, and takes no writes; and once it does again. */
  refused(reason: string): void;
  accepted(): void;
  /** Every few seconds while nothing can be written: a Redis that is a replica by now may have left its place to another one. */
  lookAgain(reason: string): void;
}

/**
 * Whether this node hears Redis and can write to it: it publishes a beat to itself and listens for it, and writes it
 * down. A connection that is open proves nothing; a message that came the whole way does. And a Redis that passes
 * messages on may be full, or the replica of another one.
 */
export class Pulse {
  readonly #options: PulseOptions;
  readonly #stop: () => void;
  #heardAt = Date.now();
  #writtenAt = Date.now();
  #publishedSince: number | undefined;
  #stalled = false;
  #refusal: string | undefined;
  #refused = false;
  /** When another Redis was last looked for. */
  #lookedAt = 0;
  /** By the beat that each waits for. */
  readonly #awaited = new Map<string, () => void>();

  constructor(options: PulseOptions) {
    this.#options = options;
    this.#stop = options.intervals.every(BEAT_MS, () => this.#tick());
  }

  get hearing(): boolean {
    return !this.#stalled;
  }

  /** For how long nothing was heard, in milliseconds. */
  get silentMs(): number {
    return Date.now() - this.#heardAt;
  }

  /** For how long nothing could be written, in milliseconds. */
  get unwrittenMs(): number {
    return Date.now() - this.#writtenAt;
  }

  /** What the last write was refused with; undefined where it was not. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** One of our own beats came back. */
  heard(beat: string): void {
    this.#heardAt = Date.now();
    this.#publishedSince = undefined;
    this.#options.roundTrip((performance.now() - Number(beat)) / 1_000);
    this.#awaited.get(beat)?.();
    if (!this.#stalled) return;
    this.#stalled = false;
    this.#options.restored();
  }

  /**
   * Resolves once this node has heard everything that was published to it before the call, and in any case after
   * `STALLED_AFTER_MS`, or where Redis is away. An answer of Redis by another connection may come before that.
   */
  async caughtUp(): Promise<void> {
    const beat = String(performance.now());
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, STALLED_AFTER_MS);
    this.#awaited.set(beat, resolve);
    this.#options.publish(beat).catch(resolve);
    await promise;
    this.#awaited.delete(beat);
    clearTimeout(timer);
  }

  stop(): void {
    this.#stop();
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
    const beat = String(performance.now());
    this.#options.publish(beat).then(
      () => {
        this.#publishedSince ??= Date.now();
      },
      () => {
        this.#publishedSince = undefined;
      },
    );
    this.#options.write(beat).then(
      () => this.#written(),
      (error: unknown) => this.#notWritten(error),
    );
  }

  #written(): void {
    this.#writtenAt = Date.now();
    this.#refusal = undefined;
    if (!this.#refused) return;
    this.#refused = false;
    this.#options.accepted();
  }

  #notWritten(error: unknown): void {
    this.#refusal = error instanceof Error ? error.message : String(error);
    if (this.unwrittenMs < REFUSED_AFTER_MS) return;
    if (!this.#refused && !this.#stalled) {
      this.#refused = true;
      this.#options.refused(this.#refusal);
    }
    // Heard or not: some of our connections may lead to one server, and some to another.
    if (Date.now() - this.#lookedAt < LOOK_AGAIN_MS) return;
    this.#lookedAt = Date.now();
    this.#options.lookAgain(this.#refusal);
  }
}
