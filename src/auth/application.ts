import { RoomcastError } from "../errors.ts";
import type { PermissionBits } from "./permissions.ts";
import type { Answer, Question } from "./signed-question.ts";

/** What the application's server allowed somebody in a room, and until when that holds. */
export interface Decision {
  readonly bits: PermissionBits;
  /** By the monotonic clock, in milliseconds. */
  readonly until: number;
  /** For how long it was given, in milliseconds. */
  readonly holdsMs: number;
}

/** How long before its end somebody who is to stay is asked about again, in milliseconds: so much, and longer than a question may take. */
const AHEAD_MS = { least: 2_000, beyondQuestion: 500 };

/** Most decisions that are remembered; the oldest goes first. */
const MOST_REMEMBERED = 10_000;
/** Most questions that wait for others to be answered. */
const MOST_WAITING = 1_000;
/** A question that failed is not asked again for so long, in milliseconds. */
const FAILED_HOLDS_MS = 1_000;

/** About one user in one room. */
interface Remembered {
  /** What it said last, whether or not that holds. */
  readonly decision: Decision | undefined;
  /** Until then it is not asked again, because it did not decide; 0 where it did. */
  readonly failedUntil: number;
}

const NOTHING: Remembered = { decision: undefined, failedUntil: 0 };

export interface ApplicationOptions {
  /** Asks the server. Rejects where it does not decide. */
  readonly put: (question: Question, signal: AbortSignal) => Promise<Answer>;
  /** For a whole question, with its waiting, in milliseconds. */
  readonly timeoutMs: number;
  /** Most questions under way. */
  readonly maxParallel: number;
  /** The server does not decide, for the first time since it did. */
  readonly lost: (error: unknown) => void;
  /** It decides again. */
  readonly back: () => void;
  /** Milliseconds that never run backwards. */
  readonly now?: () => number;
}

/**
 * The application's server, asked about rooms that tokens do not cover. There is one question at a time about one user in
 * one room, and its answer is remembered for as long as it says; a no shortly, and a failure more shortly still. A server
 * that cannot be reached, or is slow, lets nobody in.
 */
export class Application {
  readonly #options: ApplicationOptions;
  readonly #now: () => number;
  readonly #remembered = new Map<string, Remembered>();
  readonly #underWay = new Map<string, Promise<Decision>>();
  readonly #waiting: (() => void)[] = [];
  #asking = 0;
  #isLost = false;

  constructor(options: ApplicationOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** How long before the end of what was allowed it is time to ask again, where somebody is to stay: by then `leftMs` are left. */
  aheadMs(leftMs: number): number {
    return Math.min(Math.max(AHEAD_MS.least, this.#options.timeoutMs + AHEAD_MS.beyondQuestion), leftMs / 2);
  }

  /**
   * As `decide`, about somebody who is to stay: what is remembered and ends soon is asked for anew, and counts to its end where the
   * server does not decide.
   */
  async decideToStay(question: Question): Promise<Decision> {
    const known = this.#remembered.get(keyOf(question))?.decision;
    const now = this.#now();
    if (known === undefined || known.until <= now) return await this.decide(question);
    if (known.until - now > this.aheadMs(known.holdsMs)) return known;
    try {
      return await this.decide(question, known.until);
    } catch (error) {
      if (known.until > this.#now()) return known;
      throw error;
    }
  }

  /**
   * What the user may do in the room: by memory where that holds beyond `after`, else by asking. Rejects with
   * `unavailable`.
   */
  async decide(question: Question, after = this.#now()): Promise<Decision> {
    const key = keyOf(question);
    const { decision, failedUntil } = this.#remembered.get(key) ?? NOTHING;
    if (decision !== undefined && decision.until > after) return decision;
    if (failedUntil > this.#now()) throw undecided();
    const underWay = this.#underWay.get(key);
    if (underWay !== undefined) return underWay;
    const asked = this.#ask(key, question).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, asked);
    return asked;
  }

  async #ask(key: string, question: Question): Promise<Decision> {
    const signal = AbortSignal.timeout(this.#options.timeoutMs);
    try {
      await this.#turn(signal);
    } catch (error) {
      throw undecided(error);
    }
    try {
      const { bits, holdsMs } = await this.#options.put(question, signal);
      const decision: Decision = { bits, until: this.#now() + holdsMs, holdsMs };
      this.#remember(key, { decision, failedUntil: 0 });
      if (this.#isLost) this.#options.back();
      this.#isLost = false;
      return decision;
    } catch (error) {
      // What it said before holds to its end, for whoever needs no more.
      const decision = this.#remembered.get(key)?.decision;
      this.#remember(key, { decision, failedUntil: this.#now() + FAILED_HOLDS_MS });
      if (!this.#isLost) this.#options.lost(error);
      this.#isLost = true;
      throw undecided(error);
    } finally {
      this.#asking -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** Resolves once this question may be put; the place is its own from then on. */
  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#asking < this.#options.maxParallel) {
      this.#asking += 1;
      return;
    }
    if (this.#waiting.length >= MOST_WAITING) throw new Error("too many questions wait already");
    await new Promise<void>((resolve, reject) => {
      const go = () => {
        signal.removeEventListener("abort", giveUp);
        this.#asking += 1;
        resolve();
      };
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1);
        reject(new Error("no question could be put in time"));
      };
      signal.addEventListener("abort", giveUp, { once: true });
      this.#waiting.push(go);
    });
  }

  #remember(key: string, what: Remembered): void {
    this.#remembered.delete(key);
    this.#remembered.set(key, what);
    if (this.#remembered.size <= MOST_REMEMBERED) return;
    for (const oldest of this.#remembered.keys()) {
      this.#remembered.delete(oldest);
      break;
    }
  }
}

function undecided(cause?: unknown): RoomcastError {
  const message = "the application's server does not say at present whether you may: try again";
  return new RoomcastError("unavailable", message, { cause });
}

function keyOf({ user, room }: Question): string {
  return `${user.length}:${user}:${room}`;
}
