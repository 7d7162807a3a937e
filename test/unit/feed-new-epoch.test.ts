import { expect, it } from "vitest";
import { Feed } from "../../src/feed/feed.ts";
import { NOT_COUNTED } from "../../src/feed/feed-counts.ts";
import type { Frame } from "../../src/feed/frame.ts";
import type { Entry, Page } from "../../src/log/room-log.ts";
import { eventually } from "../support/eventually.ts";

/** A connection that takes everything, by the ordinary way. */
const DRAINED = { line: undefined, keepsUp: () => true, drained: async () => undefined };

const POLICY = {
  retention: { maxMessages: 100, maxBytes: 100_000, maxAgeMs: 100_000 },
  presence: { upToMembers: 100, againBelowMembers: 80 },
};

// A room was closed and joined again, and somebody sent, before the feed had learned of the new epoch: whoever had joined in
// it was told to resync, though nothing was missing.
it("[G3] who joined in the new epoch before the feed knew of it goes on from there, whatever came meanwhile", async () => {
  const next: Entry = { epoch: "e2", seq: 12, ts: 120, prev: 110, body: Buffer.from('{"seq":12}') };
  const head = { epoch: "e2", seq: 12, ts: 120 };
  const feed = new Feed("chat:1", POLICY, 1_000, {
    readPage: async () => ({ entries: [next], head, more: false }),
    suspect: () => undefined,
    pause: async () => undefined,
    failed: (_room, error) => {
      throw error;
    },
    counts: NOT_COUNTED,
  });
  const connect = (connection: string) => {
    const heard: string[] = [];
    const write = (frame: Frame) => {
      heard.push(...frame.parts.map(({ text }) => (JSON.parse(text.slice(1)) as [string])[0]));
      return true;
    };
    return { heard, outlet: { connection, write, offer: write, ...DRAINED } };
  };
  const [early, late] = [connect("early"), connect("late")];
  const old = { epoch: "e1", seq: 10, ts: 100 };
  feed.start(old, 0);
  feed.attach(early.outlet, old, 0, 0);
  feed.attach(late.outlet, { epoch: "e2", seq: 11, ts: 110 }, 0, 0);
  const question = feed.question();
  if (question === undefined) throw new Error("a feed that has started can be compared");
  feed.compare(question, { ...head, version: 0, memberCount: 0, messages: 0, bytes: 0, oldest: "-" });
  await eventually(() => expect(late.heard).toEqual(["message"]));
  expect(early.heard).toEqual(["resync"]);
});

// Two connections to Redis: the answer to a comparison may come before what was published before it.
it("[G3] what is left of an epoch that is over, and comes late, ends nobody's stream again", async () => {
  const at = (epoch: string, seq: number) => ({ epoch, seq, ts: seq * 10 });
  const entry = (epoch: string, seq: number): Entry => {
    return { ...at(epoch, seq), prev: (seq - 1) * 10, body: Buffer.from(JSON.stringify({ seq })) };
  };
  const [page, suspected]: [Promise<Page>[], Feed[]] = [[], []];
  const feed = new Feed("chat:1", POLICY, 1_000, {
    readPage: () => page.shift() ?? Promise.reject(new Error("nothing is to be read")),
    suspect: (one) => suspected.push(one),
    pause: async () => undefined,
    failed: (_room, error) => {
      throw error;
    },
    counts: NOT_COUNTED,
  });
  const heard: [string, { seq?: number }][] = [];
  const write = (frame: Frame) => {
    heard.push(...frame.parts.map(({ text }) => JSON.parse(text.slice(1)) as [string, { seq?: number }]));
    return true;
  };
  feed.start(at("e1", 5), 0);
  const question = feed.question();
  if (question === undefined) throw new Error("a feed that has started can be compared");
  feed.compare(question, { ...at("e2", 8), version: 0, memberCount: 0, messages: 0, bytes: 0, oldest: "-" });
  feed.attach({ connection: "c", write, offer: write, ...DRAINED }, at("e2", 8), 0, 0);
  feed.entry(entry("e1", 6));
  feed.entry(entry("e2", 9));
  // In the middle of a repair, too.
  const { promise, resolve } = Promise.withResolvers<Page>();
  page.push(promise);
  feed.entry(entry("e2", 11));
  feed.entry(entry("e1", 7));
  feed.entry(entry("e2", 12));
  resolve({ entries: [entry("e2", 10), entry("e2", 11)], head: at("e2", 11), more: false });
  await eventually(() => expect(heard.map(([, { seq }]) => seq)).toEqual([9, 10, 11, 12]));
  expect(heard.map(([name]) => name)).toEqual(Array.from({ length: 4 }, () => "message"));
  expect(suspected).toEqual([]);
  // An epoch that it does not know is another matter, and so is the old one once the log is back in it.
  feed.entry(entry("e3", 13));
  expect(suspected).toEqual([feed]);
  const again = feed.question();
  if (again === undefined) throw new Error("a feed that has started can be compared");
  feed.compare(again, { ...at("e1", 7), version: 0, memberCount: 0, messages: 0, bytes: 0, oldest: "-" });
  feed.attach({ connection: "d", write, offer: write, ...DRAINED }, at("e1", 7), 0, 0);
  feed.entry(entry("e1", 8));
  await eventually(() => expect(heard.slice(4).map(([name]) => name)).toEqual(["resync", "message"]));
  expect(heard.at(-1)?.[1].seq).toBe(8);
});
