import { describe, expect, it } from "vitest";
import { Feed } from "../../src/feed/feed.ts";
import { NOT_COUNTED } from "../../src/feed/feed-counts.ts";
import type { Entry } from "../../src/log/room-log.ts";

const RETENTION = { maxMessages: 1_000, maxBytes: 1_000_000, maxAgeMs: 1_000_000 };
const ASKS_NOTHING_ELSE = { version: 1, recount: 0, oldest: undefined };

function entry(seq: number, ts: number, prev: number): Entry {
  return { epoch: "e1", seq, ts, prev, body: Buffer.from(JSON.stringify({ seq })) };
}

/** A feed over a log that never answers, and how often it asked for a comparison. */
function feedAt(seq: number, ts: number) {
  const asked = { times: 0 };
  const policy = { retention: RETENTION, presence: { upToMembers: 9, againBelowMembers: 9 } };
  const never = () => new Promise<never>(() => undefined);
  const feed = new Feed("chat:1", policy, 1_000, {
    readPage: never,
    suspect: () => {
      asked.times += 1;
    },
    pause: never,
    failed: (_room, error) => {
      throw error;
    },
    counts: NOT_COUNTED,
  });
  feed.start({ epoch: "e1", seq, ts }, 1);
  return { feed, asked };
}

describe("a feed that stood still while the log went another way", () => {
  // Redis came back without the entries from 6 on, others appended until 12, and all of that waited in this node's socket.
  // It heard 12 before it compared itself: the log agreed with that, and no new epoch told the fork to anybody's `since`.
  it("[G5] asks about what it passed on, not about what it heard of the other line", () => {
    const { feed, asked } = feedAt(10, 100);
    expect(feed.question()).toEqual({
      position: { epoch: "e1", seq: 10, ts: 100 },
      broken: false,
      ...ASKS_NOTHING_ELSE,
    });
    for (const [seq, ts] of [
      [9, 209],
      [10, 210],
      [11, 211],
      [12, 212],
    ] as const) {
      feed.entry(entry(seq, ts, ts - 1));
    }
    expect(asked.times).toBeGreaterThan(0);
    expect(feed.question()).toEqual({
      position: { epoch: "e1", seq: 10, ts: 100 },
      broken: true,
      ...ASKS_NOTHING_ELSE,
    });
  });

  it("asks about the furthest that it heard where the chain fits: a log that has less has lost it", () => {
    const { feed } = feedAt(10, 100);
    feed.entry(entry(12, 120, 110));
    expect(feed.question()).toEqual({
      position: { epoch: "e1", seq: 12, ts: 120 },
      broken: false,
      ...ASKS_NOTHING_ELSE,
    });
  });

  it("[G5] asks about what the log answered to an append, also where the channel never brought it", () => {
    const { feed, asked } = feedAt(10, 100);
    feed.stored({ epoch: "e1", seq: 11, ts: 110 });
    const position = { epoch: "e1", seq: 11, ts: 110 };
    expect(feed.known).toEqual(position);
    expect(feed.question()).toEqual({ position, broken: false, ...ASKS_NOTHING_ELSE });
    feed.stored({ epoch: "e1", seq: 9, ts: 90 });
    expect(feed.known).toEqual(position);
    expect(asked.times).toBe(0);
    feed.stored({ epoch: "e2", seq: 12, ts: 120 });
    expect(asked.times).toBe(1);
  });
});
