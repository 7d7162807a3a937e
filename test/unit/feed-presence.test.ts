import { expect, it, onTestFinished, vi } from "vitest";
import { Feed, type Question } from "../../src/feed/feed.ts";
import { NOT_COUNTED } from "../../src/feed/feed-counts.ts";
import type { Frame } from "../../src/feed/frame.ts";
import type { PresenceChange } from "../../src/presence/presence.ts";

const RETENTION = { maxMessages: 100, maxBytes: 100_000, maxAgeMs: 100_000 };
/** A connection that takes everything, by the ordinary way. */
const DRAINED = { line: undefined, keepsUp: () => true, drained: async () => undefined };

const POLICY = { retention: RETENTION, presence: { upToMembers: 100, againBelowMembers: 80 } };
const HELD_BYTES = 1_000;
const AT = { epoch: "e", seq: 3, ts: 30 };

function openFeed() {
  let suspected = 0;
  const feed = new Feed("chat:1", POLICY, HELD_BYTES, {
    readPage: () => new Promise(() => undefined),
    suspect: () => {
      suspected += 1;
    },
    pause: async () => undefined,
    failed: (_, error) => {
      throw error;
    },
    counts: NOT_COUNTED,
  });
  /** A join that was told this version of presence; returns the versions that its connection hears of. */
  const join = (connection: string, version: number, mark = 0): number[] => {
    const heard: number[] = [];
    const write = (frame: Frame) => {
      heard.push((JSON.parse(frame.text.slice(1)) as [string, { version: number }])[1].version);
      return true;
    };
    feed.start(AT, version);
    feed.attach({ connection, write, offer: write, ...DRAINED }, AT, version, mark);
    return heard;
  };
  const answer = (question: Question | undefined, version: number) => {
    if (question !== undefined)
      feed.compare(question, { ...AT, version, memberCount: version, messages: 0, bytes: 0, oldest: "-" });
  };
  const compare = (version: number) => answer(feed.question(), version);
  return { feed, join, answer, compare, suspected: () => suspected };
}

const change = (version: number, by: string): PresenceChange => ({
  ...{ kind: "userJoined", user: { id: by }, memberCount: version, version, by },
});

/*
 * Redis came back empty. Nodes put their members back, telling nobody, each when it notices; meanwhile members join again,
 * and each ack has a list as long as the putting back has come. A later join on the same node, of somebody who is there
 * already and so makes no news, raised the version that the feed held for known: the comparison then found nothing new, and
 * the earlier members never learned of those that were put back in between.
 */
it("[G4] a change that nobody heard is told to whoever joined before it, though a later join knows of it", () => {
  const { join, compare } = openFeed();
  const early = join("early", 5);
  const later = join("later", 7);
  compare(7);
  expect(early).toEqual([7]);
  expect(later).toEqual([]);
});

/*
 * The same with the answers crossing: the comparison is asked on another connection than the join, so its answer may come
 * first. The join's list is then older than what the feed holds for known.
 */
it("[G4] a join whose list is older than the last comparison is told by the next one", () => {
  const { join, compare, suspected } = openFeed();
  const early = join("early", 5);
  compare(7);
  const crossed = join("crossed", 6);
  expect(suspected()).toBe(1);
  compare(7);
  expect(crossed).toEqual([7]);
  expect(early.at(-1)).toBe(7);
});

it("[G5] what was heard before a join was under way is not told to it: after a loss that counts otherwise", () => {
  const { feed, join, compare, suspected } = openFeed();
  join("early", 5);
  feed.expectJoin();
  feed.presence(change(9, "ada"));
  const mark = feed.expectJoin();
  const late = join("late", 2, mark);
  expect(late).toEqual([]);
  expect(suspected()).toBe(1);
  compare(10);
  expect(late).toEqual([10]);
});

it("[G4] changes that were heard while the join was under way are no reason for doubt", () => {
  const { feed, join, suspected } = openFeed();
  join("early", 5);
  feed.expectJoin();
  feed.presence(change(6, "ada"));
  feed.presence(change(7, "ben"));
  expect(join("crossed", 6)).toEqual([7]);
  expect(suspected()).toBe(0);
  feed.expectNoMore();
});

/** Whether a recount makes the next comparison tell members where presence stands. */
function isToldBy(feed: Feed, keptUntil: number): boolean {
  const before = feed.question()?.recount ?? 0;
  feed.recount(keptUntil);
  return (feed.question()?.recount ?? 0) > before;
}

/*
 * A failover to a server that had not heard of the sixth change, and counts another one as the sixth before anybody listens to
 * it again: by the numbers nothing is missing.
 */
it("[G5] after a failover members are told where presence stands, also where the lost changes have others' numbers", () => {
  const { feed, join, compare, answer } = openFeed();
  const early = join("early", 5);
  feed.presence(change(6, "ada"));
  compare(6);
  const askedBefore = feed.question();
  expect(askedBefore).toMatchObject({ version: 6, recount: 0, oldest: "-" });
  expect(isToldBy(feed, 0)).toBe(true);
  // Asked before: it says nothing of what the failover took.
  answer(askedBefore, 6);
  expect(feed.question()).toMatchObject({ version: 6, recount: 1, oldest: undefined });
  // Others' change is heard meanwhile: its number says nothing, and who joined with it knows it too.
  const asked = feed.question();
  feed.presence(change(7, "ben"));
  const late = join("late", 7);
  answer(asked, 7);
  expect(early).toEqual([6, 7, 7]);
  expect(late).toEqual([7]);
  compare(7);
  expect(feed.question()).toMatchObject({ version: 7 });
});

it("[G5] a failover is no reason to tell the members of rooms in which nothing was heard since what the store has kept", () => {
  vi.useFakeTimers({ toFake: ["performance"], now: 10_000_000 });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const { feed, join } = openFeed();
  join("early", 5);
  vi.advanceTimersByTime(120_000);
  expect(isToldBy(feed, performance.now())).toBe(false);
  feed.presence(change(6, "ada"));
  const changedAt = performance.now();
  vi.advanceTimersByTime(1_200_000);
  expect(isToldBy(feed, changedAt)).toBe(true);
  expect(isToldBy(feed, changedAt + 2_000)).toBe(false);
});

/*
 * Redis lost changes, and a client joined before anybody compared: what it was told is less than the others know, who must not
 * take later changes for old ones.
 */
it("[G5] a join that was told less than others does not lower what the store's version is put past", () => {
  const { feed, join } = openFeed();
  join("early", 5);
  for (const version of [6, 7, 8]) feed.presence(change(version, `u${version}`));
  join("late", 6);
  expect(feed.question()).toMatchObject({ version: 8, oldest: undefined });
});

it("[G5] a failover is no reason to tell the members of a room in which a message came behind the last change: it would be missing too", () => {
  const { feed } = openFeed();
  feed.start(AT, 5);
  const message = (seq: number) =>
    feed.entry({ epoch: "e", seq, ts: seq * 10, prev: (seq - 1) * 10, body: Buffer.from("{}") });
  message(4);
  // Told by an ack: a message that is heard after it may have been stored before it.
  expect(isToldBy(feed, 0)).toBe(true);
  feed.presence(change(6, "ada"));
  expect(isToldBy(feed, 0)).toBe(true);
  message(5);
  expect(isToldBy(feed, 0)).toBe(false);
  feed.presence(change(7, "ben"));
  feed.resumed();
  message(6);
  // Of the store that came after it, maybe.
  expect(isToldBy(feed, 0)).toBe(true);
});

it("[G4] in a large room a summary behind a change that nobody heard says that names are missing", () => {
  vi.useFakeTimers();
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const { feed } = openFeed();
  const events: unknown[] = [];
  const write = (frame: Frame) => events.push(JSON.parse(frame.text.slice(1))) > 0;
  feed.start(AT, 5);
  feed.attach({ connection: "early", write, offer: write, ...DRAINED }, AT, 5, 0);
  const large = (version: number) => feed.presence({ ...change(version, `u${version}`), memberCount: 150 });
  large(6);
  vi.advanceTimersByTime(1_000);
  large(8);
  large(9);
  vi.advanceTimersByTime(1_000);
  expect(events).toMatchObject([
    ["presence", { version: 6 }],
    ["presence", { version: 9, partial: true }],
  ]);
  expect(events[0]).not.toMatchObject(["presence", { partial: true }]);
});
