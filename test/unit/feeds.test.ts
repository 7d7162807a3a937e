import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { RoomcastError } from "../../src/errors.ts";
import { NOT_COUNTED } from "../../src/feed/feed-counts.ts";
import { Feeds } from "../../src/feed/feeds.ts";
import type { Outlet } from "../../src/feed/reader.ts";
import type { ChannelListener, RoomChannels } from "../../src/feed/room-channels.ts";
import { Intervals } from "../../src/intervals.ts";
import type { Head, Page, Position, Retention, RoomLog, RoomPosition, SeenRoom } from "../../src/log/room-log.ts";

const FULL = 1_000;
const RETENTION = { maxMessages: FULL, maxBytes: 1_000_000, maxAgeMs: 1_000_000 };
const START: Position = { epoch: "e1", seq: 0, ts: 0 };
const LINGER_MS = 5_000;

/** A log that answers in a later turn of the event loop, as Redis does, and counts what it is asked. */
class QuietLog implements RoomLog {
  readonly checks: number[] = [];
  /** How often each room was compared or looked at. */
  readonly compared = new Map<string, number>();
  reads = 0;
  /** How many rooms each call of `findChanged` looked at. */
  readonly looks: number[] = [];
  /** Rooms that are no longer as they were told. */
  readonly changed = new Set<string>();
  /** How long messages are kept, as it was told last. */
  maxAgeMs = 0;
  head = { ...START, version: 0 };
  epoch = START.epoch;

  append(): never {
    throw new Error("nobody appends");
  }

  purge(): never {
    throw new Error("nobody purges");
  }

  async readAfter(): Promise<Page> {
    this.reads += 1;
    await turn();
    return { entries: [], head: START, more: false };
  }

  readBefore(): Promise<Page> {
    return this.readAfter();
  }

  async check(positions: readonly RoomPosition[]): Promise<readonly Head[]> {
    this.checks.push(positions.length);
    this.#count(positions);
    await turn();
    return positions.map(() => ({
      ...this.head,
      epoch: this.epoch,
      memberCount: 0,
      messages: 0,
      bytes: 0,
      oldest: "m",
    }));
  }

  async findChanged(rooms: readonly SeenRoom[]): Promise<ReadonlySet<string>> {
    this.looks.push(rooms.length);
    this.#count(rooms);
    await turn();
    const { seq, version } = this.head;
    const isAs = (room: SeenRoom) => room.oldest === "m" && room.position.seq === seq && room.version === version;
    return new Set(rooms.filter((room) => !isAs(room) || this.changed.has(room.room)).map(({ room }) => room));
  }

  #count(rooms: readonly { readonly room: string; readonly retention: Retention }[]): void {
    this.maxAgeMs = rooms[0]?.retention.maxAgeMs ?? 0;
    for (const { room } of rooms) this.compared.set(room, (this.compared.get(room) ?? 0) + 1);
  }
}

class CountedChannels implements RoomChannels {
  readonly listening = new Map<string, ChannelListener>();

  async open(room: string, listener: ChannelListener): Promise<void> {
    this.listening.set(room, listener);
  }

  close(room: string): void {
    this.listening.delete(room);
  }
}

function feedsOver(
  log: QuietLog,
  lost: (room: string) => Promise<void> = () => Promise.resolve(),
  retentionNow: () => Retention = () => RETENTION,
) {
  const channels = new CountedChannels();
  const feeds = new Feeds({
    intervals: new Intervals(),
    channels,
    log,
    limits: { heldBytes: 1_000, lingerMs: LINGER_MS },
    counts: NOT_COUNTED,
    policyOf: () => ({ retention: retentionNow(), presence: { upToMembers: 100, againBelowMembers: 80 } }),
    failed: (_room, error) => {
      throw error;
    },
    lost,
  });
  onTestFinished(() => feeds.close());
  const open = async (count: number) => {
    for (let index = 0; index < count; index++) (await feeds.hold(`chat:${index}`)).start(START, 0);
  };
  return { feeds, channels, open };
}

describe("the feeds of a node", () => {
  it("[G9] 10,000 feeds are compared with their logs 500 a turn, each once", async () => {
    const log = new QuietLog();
    const { feeds, open } = feedsOver(log);
    await open(10_000);
    feeds.suspectAll();
    await vi.waitFor(() => expect(log.checks.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(10_000));
    expect(log.checks.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 500));
  });

  it("[G9] quiet feeds are compared at a capped rate: each within half a minute, or 500 a second", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const log = new QuietLog();
    const { open } = feedsOver(log);
    const compared = async (seconds: number) => {
      log.checks.length = 0;
      log.looks.length = 0;
      for (let second = 0; second < seconds; second++) {
        vi.advanceTimersByTime(1_000);
        await turn();
        await turn();
      }
      return [...log.checks, ...log.looks].reduce((sum, count) => sum + count, 0);
    };
    await open(3_000);
    expect(await compared(30)).toBe(3_000);
    await open(20_000);
    expect(await compared(10)).toBe(5_000);
    expect(Math.max(...log.checks, ...log.looks)).toBeLessThanOrEqual(500);
  });

  it("[G9] rooms that are open go by what their type says now, once room types have changed", async () => {
    const log = new QuietLog();
    let retention: Retention = RETENTION;
    const { feeds, open } = feedsOver(log, undefined, () => retention);
    await open(3);
    feeds.suspectAll();
    await vi.waitFor(() => expect([log.compared.size, log.maxAgeMs]).toEqual([3, RETENTION.maxAgeMs]));
    retention = { ...RETENTION, maxAgeMs: 5_000_000 };
    feeds.adoptPolicies();
    await vi.waitFor(() => expect([...log.compared.values(), log.maxAgeMs]).toEqual([2, 2, 2, 5_000_000]));
    expect(feeds.get("chat:1")?.retention).toEqual(retention);
  });

  it("[G5] after a failover all feeds are compared again soon, also those that had nothing to be told at first", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const log = new QuietLog();
    const { feeds, open } = feedsOver(log);
    await open(300);
    feeds.recount(performance.now() + 60_000);
    for (let second = 0; second < 2; second++) {
      vi.advanceTimersByTime(1_000);
      await turn();
      await turn();
    }
    expect(log.compared.size).toBe(300);
  });

  it("[G9] feeds that stay are compared again and again, though more come each turn than a turn takes", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const log = new QuietLog();
    const { feeds, open } = feedsOver(log);
    await open(30);
    for (let second = 0; second < 60; second++) {
      for (let nth = 0; nth < 600; nth++) (await feeds.hold(`come:${second}:${nth}`)).start(START, 0);
      vi.advanceTimersByTime(1_000);
      await turn();
      await turn();
    }
    const stayed = Array.from({ length: 30 }, (_, index) => log.compared.get(`chat:${index}`) ?? 0);
    expect(Math.min(...stayed)).toBeGreaterThan(2);
  });

  it("[G9] a feed that stands where it was compared only asks whether something changed since", async () => {
    const log = new QuietLog();
    const { feeds, channels, open } = feedsOver(log);
    await open(3);
    const compare = async () => {
      log.checks.length = 0;
      log.looks.length = 0;
      feeds.suspectAll();
      // What was compared may ask for more.
      for (let turns = 0; turns < 5; turns++) await turn();
      return { looks: [...log.looks], checks: [...log.checks] };
    };
    expect(await compare()).toEqual({ looks: [], checks: [3] });
    expect(await compare()).toEqual({ looks: [3], checks: [0] });
    log.changed.add("chat:1");
    expect(await compare()).toEqual({ looks: [3], checks: [1] });
    log.changed.clear();

    // What it heard since, it knows.
    const hear = (room: string, seq: number) =>
      channels.listening.get(room)?.entry({ epoch: "e1", seq, ts: seq, prev: seq - 1, body: Buffer.from("{}") });
    for (const room of ["chat:0", "chat:1", "chat:2"]) hear(room, 1);
    log.head = { ...log.head, seq: 1, ts: 1 };
    expect(await compare()).toEqual({ looks: [3], checks: [0] });
    const user = { id: "ada", connections: 1 };
    const change = { kind: "userJoined", user, memberCount: 1, version: 1, by: "c1" } as const;
    for (const room of ["chat:0", "chat:1"]) channels.listening.get(room)?.presence(change);
    log.head.version = 1;
    expect(await compare()).toEqual({ looks: [3], checks: [1] });
    // There is more than it has; and once the log is full, what it holds is to be asked for.
    hear("chat:1", 9);
    expect((await compare()).checks[0]).toBe(1);
    for (const room of ["chat:0", "chat:2"]) for (let seq = 2; seq <= FULL + 2; seq++) hear(room, seq);
    log.head = { ...log.head, seq: FULL + 2, ts: FULL + 2 };
    expect((await compare()).looks).toEqual([]);
  });

  it("[G5] a feed whose chain broke, or that somebody waits for in another epoch, asks for a comparison", async () => {
    const log = new QuietLog();
    const { feeds, channels, open } = feedsOver(log);
    await open(2);
    feeds.suspectAll();
    await vi.waitFor(() => expect(log.checks).toEqual([2]));
    await turn();
    channels.listening.get("chat:0")?.entry({ epoch: "e1", seq: 1, ts: 5, prev: 4, body: Buffer.from("{}") });
    await vi.waitFor(() => expect(log.checks).toEqual([2, 1]));
    await turn();
    const written: string[] = [];
    const outlet: Outlet = {
      connection: "c1",
      line: undefined,
      keepsUp: () => true,
      write: (frame) => written.push(frame.websocket.toString()) > 0,
      offer: () => true,
      drained: () => Promise.resolve(),
    };
    feeds.get("chat:1")?.attach(outlet, { epoch: "e2", seq: 0, ts: 0 }, 0, 0);
    feeds.suspectAll();
    await vi.waitFor(() => expect(written.join("")).toContain("resync"));
    expect(log.looks).toEqual([]);
  });

  it("[G5] where many rooms were lost at once, all members are put back before any is told", async () => {
    const log = new QuietLog();
    const waiting = new Map<string, () => void>();
    const { feeds, open } = feedsOver(log, (room) => new Promise((resolve) => waiting.set(room, resolve)));
    await open(3);
    log.epoch = "e2";
    feeds.suspectAll();
    await vi.waitFor(() => expect([...waiting.keys()]).toEqual(["chat:0", "chat:1", "chat:2"]));
    const epochs = () => ["chat:0", "chat:1", "chat:2"].map((room) => feeds.get(room)?.known?.epoch);
    expect(epochs()).toEqual(["e1", "e1", "e1"]);
    for (const resolve of waiting.values()) resolve();
    await vi.waitFor(() => expect(epochs()).toEqual(["e2", "e2", "e2"]));
  });

  it("[G3] the same page is read once for all who ask at the same time, and anew for who asks later", async () => {
    const log = new QuietLog();
    const { feeds } = feedsOver(log);
    const ask = () => Promise.all(Array.from({ length: 100 }, () => feeds.readAfter("chat:1", 7, RETENTION)));
    await Promise.all([ask(), feeds.readAfter("chat:1", 8, RETENTION), feeds.readAfter("chat:2", 7, RETENTION)]);
    expect(log.reads).toBe(3);
    await ask();
    expect(log.reads).toBe(4);
    await Promise.all([1, 2].map(() => feeds.readBefore("chat:1", 8, 50, RETENTION)));
    expect(log.reads).toBe(5);
  });

  it("[G9] a feed outlives its last member by the linger, and who comes back meanwhile finds it", async () => {
    vi.useFakeTimers();
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const { feeds, channels } = feedsOver(new QuietLog());
    const feed = await feeds.hold("chat:1");
    feeds.release("chat:1", feed);
    vi.advanceTimersByTime(LINGER_MS - 1);
    expect(await feeds.hold("chat:1")).toBe(feed);
    vi.advanceTimersByTime(2 * LINGER_MS);
    expect(feeds.size).toBe(1);
    feeds.release("chat:1", feed);
    vi.advanceTimersByTime(LINGER_MS);
    expect(feeds.size).toBe(0);
    expect(channels.listening.size).toBe(0);
    feeds.close();
    await expect(feeds.hold("chat:1")).rejects.toBeInstanceOf(RoomcastError);
  });
});
