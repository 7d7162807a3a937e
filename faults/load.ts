import type { Journal } from "./journal.ts";
import type { Member } from "./member.ts";

export interface LoadOptions {
  readonly members: readonly Member[];
  readonly messagesPerSecond: number;
  readonly bodyBytes: number;
  /** One of so many messages is sent once more after its ack; none where nothing is deduped. */
  readonly againEvery: number | undefined;
  readonly journal: Journal;
}

const TURN_MS = 20;

/** Steady sending: members take turns, and go through their rooms, whether or not what they sent before was answered. */
export class Load {
  readonly #options: LoadOptions;
  readonly #body: string;
  readonly #underWay = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #startedAt = 0;
  #sent = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#body = "x".repeat(options.bodyBytes);
  }

  start(): void {
    const { journal, messagesPerSecond } = this.#options;
    this.#startedAt = journal.now();
    this.#timer = setInterval(() => {
      const due = ((journal.now() - this.#startedAt) / 1_000) * messagesPerSecond;
      while (this.#sent < due) this.#sendNext();
    }, TURN_MS);
  }

  /** No new messages. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Resolves once all under way are acknowledged or given up. */
  async done(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  #sendNext(): void {
    const { members, againEvery } = this.#options;
    const turn = this.#sent++;
    const member = members[turn % members.length];
    // One that is not here yet, or gone for good, has nothing to say.
    if (member === undefined || member.departed !== undefined || !member.line.socket.active) return;
    const round = Math.floor(turn / members.length);
    const room = member.rooms[round % member.rooms.length] ?? "";
    const id = `${member.name}-${round}`;
    const again = againEvery !== undefined && turn % againEvery === 0;
    const sending = member.send(room, id, { body: this.#body }, again).finally(() => this.#underWay.delete(sending));
    this.#underWay.add(sending);
  }
}
