import { setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import { Feed } from "../../src/feed/feed.ts";
import { NOT_COUNTED } from "../../src/feed/feed-counts.ts";
import type { Frame } from "../../src/feed/frame.ts";
import type { Outlet } from "../../src/feed/reader.ts";
import type { Entry } from "../../src/log/room-log.ts";

const POLICY = {
  retention: { maxMessages: 100, maxBytes: 100_000, maxAgeMs: 100_000 },
  presence: { upToMembers: 0, againBelowMembers: 0 },
};
const entry = (seq: number): Entry => {
  return { epoch: "e", seq, ts: seq, prev: seq - 1, body: Buffer.from(JSON.stringify({ seq })) };
};

// A polling client that owes twice its bound is closed in the middle of the write, and with it its readers end.
it("[G6] whose connection ends while it is caught up is written to no more, and nothing is read for it", async () => {
  let reads = 0;
  const written: number[] = [];
  const feed = new Feed("chat:1", POLICY, 1_000, {
    readPage: async (_room, seq) => {
      reads += 1;
      return { entries: [entry(seq + 1)], head: { epoch: "e", seq: seq + 1, ts: seq + 1 }, more: false };
    },
    suspect: () => undefined,
    pause: async () => undefined,
    failed: (_room, error) => {
      throw error;
    },
    counts: NOT_COUNTED,
  });
  const write = (frame: Frame) => {
    written.push(...frame.parts.map(({ text }) => (JSON.parse(text.slice(1)) as [string, { seq: number }])[1].seq));
    feed.detach(outlet);
    return false;
  };
  const outlet: Outlet = {
    ...{ connection: "c", line: undefined, keepsUp: () => false, write, offer: write },
    drained: async () => undefined,
  };
  feed.start({ epoch: "e", seq: 0, ts: 0 }, 0);
  feed.expectJoin();
  for (const seq of [1, 2]) feed.entry(entry(seq));
  feed.attach(outlet, { epoch: "e", seq: 0, ts: 0 }, 0, 0);
  feed.expectNoMore();
  await turn();
  feed.entry(entry(3));
  await turn();
  expect(written).toEqual([1]);
  expect(reads).toBe(0);
});

it("[G5] that the log has no way on for is told so by that reason, also where the room went on while its page was read", async () => {
  const head = { epoch: "e", seq: 100, ts: 100 };
  const feed = new Feed("chat:1", POLICY, 1_000, {
    readPage: async () => {
      // Heard behind the reading, before its answer.
      feed.entry(entry(101));
      return { entries: Array.from({ length: 8 }, (_, index) => entry(93 + index)), head, more: false };
    },
    suspect: () => undefined,
    pause: async () => undefined,
    failed: (_room, error) => {
      throw error;
    },
    counts: NOT_COUNTED,
  });
  const told: unknown[] = [];
  const write = (frame: Frame) => {
    told.push(...frame.parts.map(({ text }) => JSON.parse(text.slice(1))));
    return true;
  };
  const outlet: Outlet = {
    ...{ connection: "c", line: undefined, keepsUp: () => true, write, offer: write },
    drained: async () => undefined,
  };
  feed.start(head, 0);
  feed.expectJoin();
  feed.attach(outlet, { epoch: "e", seq: 10, ts: 10 }, 0, 0);
  feed.expectNoMore();
  await turn();
  expect(told).toMatchObject([["resync", { reason: "behind" }]]);
});
