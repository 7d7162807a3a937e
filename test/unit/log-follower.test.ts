import { expect, it } from "vitest";
import { LogFollower } from "../../src/feed/log-follower.ts";
import { Intervals } from "../../src/intervals.ts";
import { MemoryChannels } from "../../src/log/memory-channels.ts";
import { MemoryLog } from "../../src/log/memory-log.ts";
import { eventually } from "../support/eventually.ts";

const ROOM = "_orders";
const RETENTION = { maxMessages: 1_000, maxBytes: 1_000_000, maxAgeMs: 1_000_000 };
/** It tries again every five seconds. */
const FOLLOWS_AGAIN = { withinMs: 15_000 };

it("[G5] [G7] follows again, where looking up what it missed fails for a reason that does not pass at once", async () => {
  const channels = new MemoryChannels();
  const log = new MemoryLog({ channels, dedupeMs: 60_000 });
  const heard: unknown[] = [];
  const failures: unknown[] = [];
  let begins = async () => undefined;
  const follower = new LogFollower({
    intervals: new Intervals(),
    room: ROOM,
    policy: { retention: RETENTION, presence: { upToMembers: 0, againBelowMembers: 0 } },
    channels,
    log,
    heldBytes: 1_000_000,
    heard: ({ data }) => heard.push(data),
    begins: () => begins(),
    hearsMissed: true,
    failed: (error) => failures.push(error),
  });
  await follower.begin();
  await follower.append("order", 1);
  await eventually(() => expect(heard).toEqual([1]));
  const missing = new Error("NOPERM");
  begins = () => Promise.reject(missing);
  await log.purge(ROOM);
  follower.suspect();
  await eventually(() => expect(failures).toEqual([missing]));
  begins = async () => undefined;
  await eventually(async () => {
    await follower.append("order", 2);
    expect(heard.at(-1)).toBe(2);
  }, FOLLOWS_AGAIN);
  follower.close();
});

/*
 * The store lost the end of the log, and with the first order after that it began another epoch: of that order a node hears
 * nothing but that its own place is none any more.
 */
it("[G7] what was stored before the loss of the log was noticed is heard once, and nothing that was heard before", async () => {
  const channels = new MemoryChannels();
  const log = new MemoryLog({ channels, dedupeMs: 60_000 });
  const heard: unknown[] = [];
  const follower = (hears: unknown[], hearsMissed: boolean) =>
    new LogFollower({
      intervals: new Intervals(),
      room: ROOM,
      policy: { retention: RETENTION, presence: { upToMembers: 0, againBelowMembers: 0 } },
      channels: new MemoryChannels(),
      log,
      heldBytes: 1_000_000,
      heard: ({ data }) => hears.push(data),
      begins: async () => undefined,
      hearsMissed,
      failed: expect.fail,
    });
  const early = follower([], false);
  await early.append("order", "before");
  const deaf = follower(heard, true);
  const other: unknown[] = [];
  const forgetful = follower(other, false);
  for (const one of [deaf, forgetful]) await one.begin();
  await early.append("order", 1);
  for (const one of [deaf, forgetful]) one.suspect();
  await eventually(() => expect([heard, other]).toEqual([[1], [1]]));
  await log.purge(ROOM);
  for (let n = 2; n <= 700; n++) await early.append("order", n);
  for (const one of [deaf, forgetful]) one.suspect();
  await eventually(() => expect(heard).toHaveLength(700));
  expect(heard).toEqual(Array.from({ length: 700 }, (_, n) => n + 1));
  await early.append("order", "after");
  for (const one of [deaf, forgetful]) one.suspect();
  await eventually(() => expect([heard.at(-1), other]).toEqual(["after", [1, "after"]]));
  for (const one of [early, deaf, forgetful]) one.close();
});
