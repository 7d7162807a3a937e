import { expect, it } from "vitest";
import { Feed } from "../../src/feed/feed.ts";
import { NOT_COUNTED } from "../../src/feed/feed-counts.ts";
import type { Frame } from "../../src/feed/frame.ts";
import type { Entry } from "../../src/log/room-log.ts";
import { eventually } from "../support/eventually.ts";

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
    return { heard, outlet: { connection, write, offer: write, drained: async () => undefined } };
  };
  const [early, late] = [connect("early"), connect("late")];
  const old = { epoch: "e1", seq: 10, ts: 100 };
  feed.start(old, 0);
  feed.attach(early.outlet, old, 0);
  feed.attach(late.outlet, { epoch: "e2", seq: 11, ts: 110 }, 0);
  const question = feed.question();
  if (question === undefined) throw new Error("a feed that has started can be compared");
  feed.compare(question, { ...head, version: 0, memberCount: 0, messages: 0, bytes: 0 });
  await eventually(() => expect(late.heard).toEqual(["message"]));
  expect(early.heard).toEqual(["resync"]);
});
