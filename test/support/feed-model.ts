import { RoomcastError } from "../../src/errors.ts";
import { missedSince, positionOf } from "../../src/feed/catch-up.ts";
import { Feed, type FeedSurroundings, type Question } from "../../src/feed/feed.ts";
import { NOT_COUNTED, type RoomCount } from "../../src/feed/feed-counts.ts";
import type { Frame } from "../../src/feed/frame.ts";
import type { Line, Outlet } from "../../src/feed/reader.ts";
import type { Entry, Head, Page, Position, Retention } from "../../src/log/room-log.ts";
import type { PresenceChange } from "../../src/presence/presence.ts";
import type { ServerEvents } from "../../src/protocol.ts";

const RETENTION: Retention = { maxMessages: 8, maxBytes: 1_000_000, maxAgeMs: 1_000_000 };
const PAGE_MESSAGES = 3;
const HELD_BYTES = 400;
/** Turns of the microtask queue after which every continuation of a step has run. */
const TURNS = 12;
/** Of each head: it says nothing of entries that are trimmed because newer ones came. */
const OLDEST = "1";
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

/** Who is there as a member knows it, by the protocol's own rules. */
class ModelPicture {
  readonly users: Set<string>;
  #version: number;
  readonly #ask: () => void;

  /** `ask`: the member wants to be told who is there; `answer` does. */
  constructor(users: Iterable<string>, version: number, ask: () => void) {
    this.users = new Set(users);
    this.#version = version;
    this.#ask = ask;
  }

  hear(kind: PresenceChange["kind"], user: string, version: number): void {
    if (version <= this.#version) return;
    const missed = version > this.#version + 1;
    this.#version = version;
    if (missed) this.#ask();
    else if (kind === "userLeft") this.users.delete(user);
    else this.users.add(user);
  }

  partial(): void {
    this.#ask();
  }

  /** False where changes have overtaken it: it asks again. */
  answer(users: Iterable<string>, version: number): boolean {
    if (version < this.#version) return false;
    this.#version = version;
    this.users.clear();
    for (const user of users) this.users.add(user);
    return true;
  }
}

/** A connection whose way out may be blocked. */
class ModelOutlet implements Outlet {
  readonly connection: string;
  readonly line: Line | undefined;
  readonly told: Told[] = [];
  /** From the join's ack. */
  picture: ModelPicture | undefined;
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
      const [name, payload] = JSON.parse(event) as [string, object];
      if (name === "userJoined" || name === "userLeft" || name === "userUpdated") {
        this.#hearOf(name, payload as ServerEvents["userUpdated"]);
      } else if (name === "presence") this.picture?.partial();
      else this.told.push({ kind: name, ...payload } as Told);
    }
    return !this.blocked;
  }

  #hearOf(kind: PresenceChange["kind"], { user, version }: ServerEvents["userUpdated"]): void {
    if (user.id === this.connection && kind === "userJoined") {
      throw new Error(`${this.connection} hears of its own joining`);
    }
    this.picture?.hear(kind, user.id, version);
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
  /** With those who were in when it was stored. */
  readonly #acknowledged: { readonly entry: Entry; readonly members: readonly ModelOutlet[] }[] = [];
  readonly #users = new Set<string>();
  /** Of presence, the latest last. */
  #changes: Pick<PresenceChange, "kind" | "user">[] = [];
  #version = 0;
  #others = 0;
  /** Of both, the latest last: a failover loses the end of it. */
  #writes: ("message" | "change")[] = [];
  /** Published and not yet heard. */
  #channel: (Entry | PresenceChange)[] = [];
  #subscribed = true;
  #away = false;
  /** What Redis or the clock will do next, each at a moment of the schedule's choosing. */
  readonly #pending: (() => void)[] = [];
  #suspected = false;
  #comparing = false;
  /** As the metrics have it. */
  readonly #counted = { messages: 0, bytes: 0 };
  #joins = 0;
  /** Which of the servers that there were is Redis now. */
  #server = 1;

  constructor() {
    const around: FeedSurroundings = {
      readPage: (_room, seq) => this.#ask(() => this.#read(seq)),
      suspect: () => this.#suspect(),
      pause: () => new Promise((resolve) => this.#pending.push(resolve)),
      failed: (_room, error) => this.failures.push(error),
      counts: { ...NOT_COUNTED, roomOpened: () => this.#count() },
    };
    const policy = { retention: RETENTION, presence: { upToMembers: 100, againBelowMembers: 80 } };
    this.#feed = new Feed("chat:model", policy, HELD_BYTES, around);
  }

  /** What the schedule may choose from. */
  static readonly STEPS = [
    "append",
    "append",
    "append",
    "store",
    "store",
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
    "come",
    "come",
    "go",
    "update",
    "compare",
    "compare",
    "fork",
    "flush",
  ] as const;

  async step(name: (typeof FeedModel.STEPS)[number], choice: number): Promise<void> {
    if (name === "append") this.#append();
    else if (name === "store") this.#store();
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
    else if (name === "compare") this.#suspect();
    else if (name === "come") this.#change("userJoined", `other ${++this.#others}`);
    else if (name === "go" || name === "update") this.#changeOther(name, choice);
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
    const bytes = this.#bytes();
    const isFollowed = this.#feed.position !== undefined;
    if (isFollowed && (this.#counted.messages !== this.#log.length || this.#counted.bytes !== bytes)) {
      const counted = JSON.stringify(this.#counted);
      throw new Error(`counted ${counted}, and the log holds ${this.#log.length} in ${bytes}`);
    }
    for (const { entry, members } of this.#acknowledged) for (const member of members) requireTold(member, entry);
    for (const { connection, from, told, gone, picture } of this.outlets) {
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
      // Who was told to resync joins again, and gets another picture.
      const [shown, there] = [picture?.users ?? [], this.#users].map((users) => [...users].sort().join());
      if (at !== undefined && shown !== there) throw new Error(`${connection} sees ${shown}, and ${there} are there`);
    }
  }

  /** By this node, which is answered before the channel brings it or long after, and acknowledges it then; or never, by a server that is gone. */
  #store(): void {
    const { known } = this.#feed;
    if (!this.#away && known !== undefined && this.#isFork(known)) this.#newEpoch();
    const entry = this.#append();
    if (entry === undefined) return;
    // Of a feed that has not learned of this line of numbers yet nothing is asked: the log was lost a moment before.
    const isInLine = this.#feed.position?.epoch === entry.epoch;
    const members = this.outlets.filter(({ gone }) => isInLine && !gone);
    const server = this.#server;
    this.#pending.push(() => {
      if (server !== this.#server) return;
      this.#feed.stored(positionOf(entry));
      this.#acknowledged.push({ entry, members });
    });
  }

  #append(): Entry | undefined {
    if (this.#away) return undefined;
    const [epoch, seq, ts, prev] = [this.#epoch, this.#lastSeq + 1, ++this.#clock, this.#lastTs];
    const entry: Entry = { epoch, seq, ts, prev, body: Buffer.from(JSON.stringify({ seq, ts, prev, epoch })) };
    this.#log.push(entry);
    this.#writes.push("message");
    if (this.#log.length > RETENTION.maxMessages) this.#log.shift();
    this.#lastSeq = seq;
    this.#lastTs = ts;
    if (this.#subscribed) this.#channel.push(entry);
    return entry;
  }

  /** One step that counts and publishes; `quietly`, it only counts. */
  #change(kind: PresenceChange["kind"], id: string, how?: "quietly"): void {
    if (this.#away) return;
    if (kind === "userLeft") this.#users.delete(id);
    else this.#users.add(id);
    this.#version += 1;
    const change = { kind, user: { id } };
    this.#changes.push(change);
    this.#writes.push("change");
    const told = { ...change, version: this.#version, memberCount: this.#users.size, by: id };
    if (this.#subscribed && how === undefined) this.#channel.push(told);
  }

  #changeOther(name: "go" | "update", choice: number): void {
    const others = [...this.#users].filter((user) => user.startsWith("other"));
    const user = others[choice % Math.max(1, others.length)];
    if (user !== undefined) this.#change(name === "go" ? "userLeft" : "userUpdated", user);
  }

  #hear(): void {
    const heard = this.#channel.shift();
    if (heard === undefined) return;
    if ("kind" in heard) this.#feed.presence(heard);
    else this.#feed.entry(heard);
  }

  #answer(choice: number): void {
    const [answer] = this.#pending.splice(choice % Math.max(1, this.#pending.length), 1);
    answer?.();
  }

  /** The join script's answer comes later than its moment; whatever is heard meanwhile is kept by the feed. */
  #join(): void {
    if (this.#away) return;
    const fence: Position = { epoch: this.#epoch, seq: this.#lastSeq, ts: this.#lastTs };
    const outlet = new ModelOutlet(`c${this.#joins++}`, this.#joins % 2 === 0);
    const mark = this.#feed.expectJoin();
    const version = this.#seat(outlet);
    this.#pending.push(() => {
      this.#feed.start(fence, version);
      outlet.from = fence;
      this.outlets.push(outlet);
      this.#feed.attach(outlet, fence, version, mark);
      this.#feed.expectNoMore();
    });
  }

  /** What the join's ack says of presence: it is known from the moment of the join. */
  #seat(outlet: ModelOutlet): number {
    this.#change("userJoined", outlet.connection);
    const ask = () => {
      // Who has gone, or was told to resync and joins again, asks no more.
      if (outlet.gone || outlet.told.at(-1)?.kind === "resync") return;
      this.#ask(() => [[...this.#users], this.#version] as const).then(([users, version]) => {
        this.#feed.membersShown(version);
        if (outlet.picture?.answer(users, version)) return;
        // It waits before it asks again, and `Feeds` compares again and again after a failover.
        this.#suspect();
        ask();
      }, ask);
    };
    outlet.picture = new ModelPicture(this.#users, this.#version, ask);
    return this.#version;
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
    const outlet = new ModelOutlet(`c${this.#joins++}, once ${before.connection}`, this.#joins % 2 === 0);
    const mark = this.#feed.expectJoin();
    const version = this.#seat(outlet);
    const attach = (position: Position) => {
      outlet.from ??= position;
      this.outlets.push(outlet);
      this.#feed.start(fence, version);
      this.#feed.attach(outlet, position, version, mark);
      this.#feed.expectNoMore();
    };
    const answered = () => {
      this.#feed.start(fence, version);
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

  /**
   * A failover to a server that lacks the last entries and changes: the connection goes with it, the epoch is the same. Nodes
   * learn of it some time later, and put their members back without a word.
   */
  #lose(count: number): void {
    this.#cut();
    this.#server += 1;
    const lost = this.#writes.splice(Math.max(0, this.#writes.length - count));
    const [messages, changes] = (["message", "change"] as const).map(
      (kind) => lost.filter((write) => write === kind).length,
    );
    const gone = this.#changes.splice(this.#changes.length - (changes ?? 0));
    for (const { kind, user } of gone.toReversed()) {
      if (kind === "userJoined") this.#users.delete(user.id);
      else if (kind === "userLeft") this.#users.add(user.id);
    }
    this.#version -= gone.length;
    this.#pending.push(() => {
      this.#feed.recount(0);
      this.#pending.push(() => this.#putRight(gone));
    });
    this.#log = this.#log.slice(0, this.#log.length - (messages ?? 0));
    this.#lastSeq -= messages ?? 0;
    this.#lastTs = this.#log.at(-1)?.ts ?? 0;
  }

  #flush(): void {
    this.#cut();
    this.#server += 1;
    this.#log = [];
    this.#lastSeq = 0;
    this.#lastTs = 0;
    this.#newEpoch();
    const gone = [...this.#users].map((id) => ({ kind: "userJoined", user: { id } }) as const);
    this.#users.clear();
    this.#changes = [];
    this.#writes = [];
    this.#version = 0;
    this.#pending.push(() => this.#putRight(gone));
  }

  /** Who is missing is put back without a word, and who should be out is taken out and told of. Updates are nobody's. */
  #putRight(gone: readonly Pick<PresenceChange, "kind" | "user">[]): void {
    if (this.#away) {
      this.#pending.push(() => this.#putRight(gone));
      return;
    }
    const last = new Map(gone.filter(({ kind }) => kind !== "userUpdated").map(({ kind, user }) => [user.id, kind]));
    for (const [id, kind] of last) {
      if (kind === "userJoined" && !this.#users.has(id)) this.#change(kind, id, "quietly");
      if (kind === "userLeft" && this.#users.has(id)) this.#change(kind, id);
    }
    this.#suspect();
  }

  #newEpoch(): void {
    this.#epochs += 1;
    this.#epoch = `e${this.#epochs}`;
  }

  #some(choice: number, act: (outlet: ModelOutlet) => void): void {
    const outlet = this.outlets[choice % Math.max(1, this.outlets.length)];
    if (outlet !== undefined) act(outlet);
  }

  /** Redis answers from the moment at which it ran the command; the answer takes its time, and is lost with the server. */
  #ask<Answer>(run: () => Answer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#pending.push(() => {
        if (this.#away) {
          reject(new RoomcastError("unavailable"));
          return;
        }
        const [answer, server] = [run(), this.#server];
        this.#pending.push(() =>
          server === this.#server ? resolve(answer) : reject(new RoomcastError("unavailable")),
        );
      });
    });
  }

  #read(seq: number): Page {
    const after = this.#log.filter((entry) => entry.seq > seq).map((entry) => ({ ...entry, epoch: this.#epoch }));
    const head = { epoch: this.#epoch, seq: this.#lastSeq, ts: this.#lastTs };
    return { entries: after.slice(0, PAGE_MESSAGES), head, more: after.length > PAGE_MESSAGES };
  }

  /** As `Feeds` does: one comparison at a time. */
  #suspect(): void {
    this.#suspected = true;
    if (this.#comparing) return;
    this.#comparing = true;
    this.#pending.push(() => this.#compareNext());
  }

  #compareNext(): void {
    this.#comparing = this.#suspected;
    if (!this.#suspected) return;
    this.#suspected = false;
    const question = this.#feed.question();
    const compared = question === undefined ? Promise.resolve() : this.#compare(question);
    compared
      .catch(() => {
        this.#suspected = true;
      })
      .finally(() => this.#pending.push(() => this.#compareNext()));
  }

  async #compare(question: Question): Promise<void> {
    if (question.oldest !== undefined && (await this.#ask(() => this.#isAs(question)))) return;
    const head = await this.#ask(() => this.#check(question.position, question.version));
    this.#feed.compare(question, head);
  }

  /** As `findChanged` would answer. */
  #isAs({ position: { epoch, seq, ts }, version, oldest }: Question): boolean {
    const isEnd = epoch === this.#epoch && seq === this.#lastSeq && ts === this.#lastTs;
    return isEnd && version === this.#version && oldest === OLDEST;
  }

  #bytes(): number {
    return this.#log.reduce((sum, { body }) => sum + body.length, 0);
  }

  #count(): RoomCount {
    const counted = this.#counted;
    const nothing = () => undefined;
    return {
      ...{ emitted: nothing, has: nothing, closed: nothing },
      logHolds: (messages, bytes) => Object.assign(counted, { messages, bytes }),
      logGrew: (bytes) => Object.assign(counted, { messages: counted.messages + 1, bytes: counted.bytes + bytes }),
    };
  }

  #isFork({ epoch, seq, ts }: Position): boolean {
    if (epoch !== this.#epoch || seq === 0) return false;
    const there = seq === this.#lastSeq ? { ts: this.#lastTs } : this.#log.find((entry) => entry.seq === seq);
    return seq > this.#lastSeq || (there !== undefined && there.ts !== ts);
  }

  #check(known: Position, version: number): Head {
    if (version > this.#version) this.#version = version + 1;
    if (this.#isFork(known)) this.#newEpoch();
    return {
      epoch: this.#epoch,
      seq: this.#lastSeq,
      ts: this.#lastTs,
      version: this.#version,
      memberCount: this.#users.size,
      messages: this.#log.length,
      bytes: this.#bytes(),
      oldest: OLDEST,
    };
  }
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await Promise.resolve();
}

/** Whoever was in all the time has what was acknowledged, or was told to resync. */
function requireTold({ connection, from, told, gone }: ModelOutlet, { epoch, seq, ts }: Entry): void {
  if (gone || epoch !== from?.epoch || told.some(({ kind }) => kind === "resync")) return;
  const has = seq <= from.seq || told.some((event) => event.kind === "message" && event.seq === seq && event.ts === ts);
  if (!has) throw new Error(`${connection} lacks ${seq}, which was acknowledged, and was not told`);
}
