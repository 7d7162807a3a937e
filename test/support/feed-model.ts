import { RoomcastError } from "../../src/errors.ts";
import { missedSince } from "../../src/feed/catch-up.ts";
import { Feed, type FeedSurroundings, type Question } from "../../src/feed/feed.ts";
import { NOT_COUNTED } from "../../src/feed/feed-counts.ts";
import type { Frame } from "../../src/feed/frame.ts";
import type { Line, Outlet } from "../../src/feed/reader.ts";
import type { Entry, Head, Page, Position, Retention } from "../../src/log/room-log.ts";

const RETENTION: Retention = { maxMessages: 8, maxBytes: 1_000_000, maxAgeMs: 1_000_000 };
const PAGE_MESSAGES = 3;
const HELD_BYTES = 400;
/** Turns of the microtask queue after which every continuation of a step has run. */
const TURNS = 12;
const QUIET_STEPS = 2_000;

/** What a connection was told, in order. */
type Told =
  | { kind: "message"; seq: number; ts: number; prev: number; epoch: string }
  | { kind: "resync"; reason: string };

/** Of several websocket frames in a row (RFC 6455, section 5.2): unmasked, of up to 65,535 bytes. */
function textsOf(bytes: Buffer): string[] {
  const texts: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const short = bytes[at + 1] ?? 0;
    const [start, size] = short < 126 ? [at + 2, short] : [at + 4, bytes.readUInt16BE(at + 2)];
    at = start + size;
    texts.push(bytes.toString("utf8", start, at));
  }
  return texts;
}

/** A connection whose way out may be blocked. */
class ModelOutlet implements Outlet {
  readonly connection: string;
  readonly line: Line | undefined;
  readonly told: Told[] = [];
  /** The join's fence. */
  from: Position | undefined;
  blocked = false;
  /** It left the room, or a newer connection took its place: it is told nothing more. */
  gone = false;
  #waiting: (() => void)[] = [];

  constructor(connection: string, hasLine: boolean) {
    this.connection = connection;
    this.line = hasLine ? this.#makeLine() : undefined;
  }

  write(frame: Frame): boolean {
    return this.#take(frame.parts.map(({ text }) => text.slice(1)));
  }

  /** Clear for most of what it is told, and not for the rest. */
  #makeLine(): Line {
    const { told } = this;
    return {
      get isClear() {
        return told.length % 3 !== 2;
      },
      write: (bytes) => this.#take(textsOf(bytes).map((text) => text.slice(2))),
    };
  }

  #take(events: readonly string[]): boolean {
    if (this.gone) throw new Error(`${this.connection} is written to after it has gone`);
    for (const event of events) {
      const [name, payload] = JSON.parse(event) as [Told["kind"], Omit<Told, "kind">];
      this.told.push({ kind: name, ...payload } as Told);
    }
    return !this.blocked;
  }

  keepsUp(): boolean {
    return !this.blocked;
  }

  offer(frame: Frame): boolean {
    return !this.blocked && this.write(frame);
  }

  drained(): Promise<void> {
    return this.blocked ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve();
  }

  /** Where its stream stands; undefined once that has ended. */
  get at(): Position | undefined {
    const last = this.told.at(-1);
    if (last === undefined) return this.from;
    return last.kind === "message" ? { epoch: last.epoch, seq: last.seq, ts: last.ts } : undefined;
  }

  drain(): void {
    this.blocked = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Redis and the network, as far as a feed can see them: a log, a channel that may lose, answers that take their time. */
export class FeedModel {
  readonly outlets: ModelOutlet[] = [];
  readonly failures: unknown[] = [];
  #feed: Feed;
  #epochs = 1;
  #epoch = "e1";
  #clock = 1_000;
  #lastSeq = 0;
  #lastTs = 0;
  #log: Entry[] = [];
  /** Published and not yet heard. */
  #channel: Entry[] = [];
  #subscribed = true;
  #away = false;
  /** What Redis or the clock will do next, each at a moment of the schedule's choosing. */
  readonly #pending: (() => void)[] = [];
  #suspected = false;

  constructor() {
    const around: FeedSurroundings = {
      readPage: (_room, seq) => this.#ask(() => this.#read(seq)),
      suspect: () => this.#suspect(),
      pause: () => new Promise((resolve) => this.#pending.push(resolve)),
      failed: (_room, error) => this.failures.push(error),
      counts: NOT_COUNTED,
    };
    const policy = { retention: RETENTION, presence: { upToMembers: 100, againBelowMembers: 80 } };
    this.#feed = new Feed("chat:model", policy, HELD_BYTES, around);
  }

  /** What the schedule may choose from. */
  static readonly STEPS = [
    "append",
    "append",
    "append",
    "hear",
    "hear",
    "hear",
    "hear a chunk",
    "answer",
    "answer",
    "answer",
    "join",
    "return",
    "return",
    "leave",
    "block",
    "drain",
    "cut",
    "mend",
    "away",
    "back",
    "fork",
    "flush",
  ] as const;

  async step(name: (typeof FeedModel.STEPS)[number], choice: number): Promise<void> {
    if (name === "append") this.#append();
    else if (name === "hear") this.#hear();
    else if (name === "hear a chunk") while (this.#channel.length > 0) this.#hear();
    else if (name === "answer") this.#answer(choice);
    else if (name === "join") this.#join();
    else if (name === "return") this.#return(choice);
    else if (name === "leave") this.#some(choice, (outlet) => this.#leave(outlet));
    else if (name === "block") this.#some(choice, (outlet) => (outlet.blocked = true));
    else if (name === "drain") this.#some(choice, (outlet) => outlet.drain());
    else if (name === "cut") this.#cut();
    else if (name === "mend") this.#mend();
    else if (name === "away") this.#away = true;
    else if (name === "back") this.#away = false;
    else if (name === "fork") this.#lose(1 + (choice % 4));
    else this.#flush();
    await turns();
  }

  /** Everything works again, and everything that is under way comes to its end. */
  async settle(): Promise<void> {
    this.#away = false;
    for (const outlet of this.outlets) outlet.drain();
    this.#cut();
    this.#mend();
    await this.#rest();
    // Quiet feeds are compared with their logs now and then.
    this.#suspect();
    await this.#rest();
  }

  async #rest(): Promise<void> {
    for (let step = 0; step < QUIET_STEPS && (this.#pending.length > 0 || this.#channel.length > 0); step++) {
      this.#hear();
      this.#answer(0);
      await turns();
    }
    if (this.#pending.length > 0) throw new Error("the feed never comes to rest");
  }

  /** Throws where a stream has a hole, a double or a fork in it, or stopped without a word. */
  verify(): void {
    if (this.failures.length > 0) throw this.failures[0];
    for (const { connection, from, told, gone } of this.outlets) {
      let at = from;
      for (const event of told) {
        if (event.kind === "resync") {
          at = undefined;
          continue;
        }
        if (at === undefined) throw new Error(`${connection}: message ${event.seq} after resync`);
        if (event.seq !== at.seq + 1 || event.prev !== at.ts || event.epoch !== at.epoch) {
          throw new Error(`${connection}: ${JSON.stringify(event)} after ${JSON.stringify(at)}`);
        }
        at = { epoch: event.epoch, seq: event.seq, ts: event.ts };
      }
      if (gone) continue;
      if (at !== undefined && (at.seq !== this.#lastSeq || at.ts !== this.#lastTs || at.epoch !== this.#epoch)) {
        const head = { epoch: this.#epoch, seq: this.#lastSeq, ts: this.#lastTs };
        throw new Error(`${connection} stopped at ${JSON.stringify(at)}, the log is at ${JSON.stringify(head)}`);
      }
    }
  }

  #append(): void {
    if (this.#away) return;
    const [epoch, seq, ts, prev] = [this.#epoch, this.#lastSeq + 1, ++this.#clock, this.#lastTs];
    const entry: Entry = { epoch, seq, ts, prev, body: Buffer.from(JSON.stringify({ seq, ts, prev, epoch })) };
    this.#log.push(entry);
    if (this.#log.length > RETENTION.maxMessages) this.#log.shift();
    this.#lastSeq = seq;
    this.#lastTs = ts;
    if (this.#subscribed) this.#channel.push(entry);
  }

  #hear(): void {
    const entry = this.#channel.shift();
    if (entry !== undefined) this.#feed.entry(entry);
  }

  #answer(choice: number): void {
    const [answer] = this.#pending.splice(choice % Math.max(1, this.#pending.length), 1);
    answer?.();
  }

  /** The join script's answer comes later than its moment; whatever is heard meanwhile is kept by the feed. */
  #join(): void {
    if (this.#away) return;
    const fence: Position = { epoch: this.#epoch, seq: this.#lastSeq, ts: this.#lastTs };
    const outlet = new ModelOutlet(`c${this.outlets.length}`, this.outlets.length % 2 === 0);
    this.#feed.expectJoin();
    this.#pending.push(() => {
      this.#feed.start(fence, 0);
      outlet.from = fence;
      this.outlets.push(outlet);
      this.#feed.attach(outlet, fence, 0);
      this.#feed.expectNoMore();
    });
  }

  #leave(outlet: ModelOutlet): void {
    this.#feed.detach(outlet);
    outlet.gone = true;
  }

  /** A client comes back on a new connection, and goes on from where its stream stood, if the log lets it. */
  #return(choice: number): void {
    const before = this.outlets[choice % Math.max(1, this.outlets.length)];
    const since = before?.at;
    if (this.#away || before === undefined || before.gone || since === undefined) return;
    this.#leave(before);
    const fence: Position = { epoch: this.#epoch, seq: this.#lastSeq, ts: this.#lastTs };
    const outlet = new ModelOutlet(`c${this.outlets.length}, once ${before.connection}`, this.outlets.length % 2 === 0);
    this.#feed.expectJoin();
    const attach = (position: Position) => {
      outlet.from ??= position;
      this.outlets.push(outlet);
      this.#feed.start(fence, 0);
      this.#feed.attach(outlet, position, 0);
      this.#feed.expectNoMore();
    };
    const answered = () => {
      this.#feed.start(fence, 0);
      if (since.epoch !== fence.epoch || since.seq > fence.seq) attach(fence);
      else if (since.seq === fence.seq)
        this.#recover(outlet, since, since.ts === fence.ts ? [] : undefined, fence, attach);
      else {
        this.#ask(() => this.#read(since.seq)).then(
          (page) => this.#recover(outlet, since, missedSince(since, fence, page)?.entries, fence, attach),
          () => this.#feed.expectNoMore(),
        );
      }
    };
    this.#pending.push(answered);
  }

  /** The ack of a join with `since`: what was missed is in it, and counts as told. */
  #recover(
    outlet: ModelOutlet,
    since: Position,
    missed: readonly Entry[] | undefined,
    fence: Position,
    attach: (position: Position) => void,
  ): void {
    if (missed === undefined) {
      attach(fence);
      return;
    }
    outlet.from = since;
    for (const { seq, ts, prev, epoch } of missed) outlet.told.push({ kind: "message", seq, ts, prev, epoch });
    attach(outlet.at ?? since);
  }

  #cut(): void {
    this.#subscribed = false;
    this.#channel = [];
  }

  #mend(): void {
    if (this.#subscribed || this.#away) return;
    this.#subscribed = true;
    this.#feed.resumed();
  }

  /** A failover to a server that lacks the last entries: the connection goes with it, the epoch is the same. */
  #lose(count: number): void {
    this.#cut();
    const lost = Math.min(count, this.#log.length);
    this.#log = this.#log.slice(0, this.#log.length - lost);
    this.#lastSeq -= lost;
    this.#lastTs = this.#log.at(-1)?.ts ?? 0;
  }

  #flush(): void {
    this.#cut();
    this.#log = [];
    this.#lastSeq = 0;
    this.#lastTs = 0;
    this.#newEpoch();
  }

  #newEpoch(): void {
    this.#epochs += 1;
    this.#epoch = `e${this.#epochs}`;
  }

  #some(choice: number, act: (outlet: ModelOutlet) => void): void {
    const outlet = this.outlets[choice % Math.max(1, this.outlets.length)];
    if (outlet !== undefined) act(outlet);
  }

  /** Redis answers from the moment at which it ran the command, and the answer takes its time. */
  #ask<Answer>(run: () => Answer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#pending.push(() => {
        if (this.#away) {
          reject(new RoomcastError("unavailable"));
          return;
        }
        const answer = run();
        this.#pending.push(() => resolve(answer));
      });
    });
  }

  #read(seq: number): Page {
    const after = this.#log.filter((entry) => entry.seq > seq).map((entry) => ({ ...entry, epoch: this.#epoch }));
    const head = { epoch: this.#epoch, seq: this.#lastSeq, ts: this.#lastTs };
    return { entries: after.slice(0, PAGE_MESSAGES), head, more: after.length > PAGE_MESSAGES };
  }

  #suspect(): void {
    if (this.#suspected) return;
    this.#suspected = true;
    this.#pending.push(() => {
      this.#suspected = false;
      const question = this.#feed.question();
      if (question !== undefined) this.#compare(question);
    });
  }

  #compare(question: Question): void {
    this.#ask(() => (this.#isAs(question) ? undefined : this.#check(question.position))).then(
      (head) => head !== undefined && this.#feed.compare(question, head),
      () => this.#suspect(),
    );
  }

  /** As `findChanged` would answer. */
  #isAs({ position: { epoch, seq, ts }, seen }: Question): boolean {
    const isEnd = epoch === this.#epoch && seq === this.#lastSeq && ts === this.#lastTs;
    return isEnd && seen?.version === 0 && seen.oldest === (this.#log[0]?.seq.toString() ?? "-");
  }

  #check(known: Position): Head {
    if (known.epoch === this.#epoch && known.seq > 0) {
      const there = known.seq === this.#lastSeq ? { ts: this.#lastTs } : this.#log.find(({ seq }) => seq === known.seq);
      if (known.seq > this.#lastSeq || (there !== undefined && there.ts !== known.ts)) this.#newEpoch();
    }
    return {
      epoch: this.#epoch,
      seq: this.#lastSeq,
      ts: this.#lastTs,
      version: 0,
      memberCount: 0,
      messages: 0,
      bytes: 0,
      oldest: this.#log[0]?.seq.toString() ?? "-",
    };
  }
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await Promise.resolve();
}
