import { expect, it } from "vitest";
import { LogFollower } from "../../src/feed/log-follower.ts";
import { Intervals } from "../../src/intervals.ts";
import { MemoryChannels } from "../../src/log/memory-channels.ts";
import { MemoryLog } from "../../src/log/memory-log.ts";
import { eventually } from "../support/eventually.ts";

const ROOM = "_orders";
const RETENTION = { maxMessages: 100, maxBytes: 1_000_000, maxAgeMs: 1_000_000 };
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
