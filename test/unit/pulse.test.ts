import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Intervals } from "../../src/intervals.ts";
import { Pulse } from "../../src/nodes/pulse.ts";

/** A Redis that takes beats, and gives them back where it is subscribed to. */
function startPulse() {
  const told: string[] = [];
  const redis = { takesMessages: true, takesWrites: true, subscribed: true };
  const pulse = new Pulse({
    intervals: new Intervals(),
    publish: async (beat) => {
      if (!redis.takesMessages) throw new Error("away");
      if (redis.subscribed) queueMicrotask(() => pulse.heard(beat));
    },
    write: async () => {
      if (!redis.takesMessages) throw new Error("away");
      if (!redis.takesWrites) throw new Error("OOM command not allowed");
    },
    resubscribe: () => told.push("resubscribe"),
    roundTrip: (seconds) => expect(seconds).toBeGreaterThanOrEqual(0),
    stalled: () => told.push("stalled"),
    restored: () => told.push("restored"),
    refused: (reason) => told.push(`refused: ${reason}`),
    accepted: () => told.push("accepted"),
    lookAgain: (reason) => told.push(`look again: ${reason}`),
  });
  return { pulse, redis, told };
}

describe("a node's pulse", () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it("[G5] says nothing of a blip, and once each where Redis is away for longer", async () => {
    const { pulse, redis, told } = startPulse();
    redis.takesMessages = false;
    await vi.advanceTimersByTimeAsync(1_500);
    redis.takesMessages = true;
    await vi.advanceTimersByTimeAsync(1_500);
    expect(told).toEqual([]);
    redis.takesMessages = false;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(pulse.hearing).toBe(false);
    expect(pulse.silentMs).toBeGreaterThan(9_000);
    redis.takesMessages = true;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(told.filter((what) => !what.startsWith("look again"))).toEqual(["stalled", "restored"]);
    pulse.stop();
  });

  it("[G5] looks for another Redis also where it hears nothing: one connection may lead to it already", async () => {
    const { pulse, redis, told } = startPulse();
    redis.subscribed = false;
    redis.takesWrites = false;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(told.filter((what) => what.startsWith("look again")).length).toBeGreaterThan(1);
    expect(told.filter((what) => what.startsWith("refused"))).toEqual([]);
    pulse.stop();
  });

  it("[G5] tells a Redis that takes no writes from one that is away", async () => {
    const { pulse, redis, told } = startPulse();
    redis.takesWrites = false;
    await vi.advanceTimersByTimeAsync(6_000);
    expect(pulse.hearing).toBe(true);
    expect(pulse.unwrittenMs).toBeGreaterThan(5_000);
    expect(pulse.refusal).toBe("OOM command not allowed");
    redis.takesWrites = true;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(pulse.unwrittenMs).toBeLessThan(1_000);
    expect(pulse.refusal).toBeUndefined();
    const looks = "look again: OOM command not allowed";
    expect(told).toEqual(["refused: OOM command not allowed", looks, "accepted"]);
    told.length = 0;
    redis.takesWrites = false;
    await vi.advanceTimersByTimeAsync(14_000);
    expect(told).toEqual(["refused: OOM command not allowed", looks, looks, looks]);
    pulse.stop();
  });

  it("[G5] subscribes anew where Redis takes beats and none comes back, and again until one does", async () => {
    const { pulse, redis, told } = startPulse();
    redis.subscribed = false;
    await vi.advanceTimersByTimeAsync(8_000);
    redis.subscribed = true;
    await vi.advanceTimersByTimeAsync(4_000);
    expect(told).toEqual(["stalled", "resubscribe", "resubscribe", "restored"]);
    pulse.stop();
  });

  it("[G5] knows when it has heard what was published before, and does not wait for what never comes", async () => {
    const { pulse, redis, told } = startPulse();
    const order: string[] = [];
    const caughtUp = (which: string) => pulse.caughtUp().then(() => order.push(which));
    const first = caughtUp("heard");
    expect(order).toEqual([]);
    await first;
    redis.subscribed = false;
    const deaf = caughtUp("deaf");
    await vi.advanceTimersByTimeAsync(1_900);
    expect(order).toEqual(["heard"]);
    await vi.advanceTimersByTimeAsync(200);
    await deaf;
    redis.takesMessages = false;
    await caughtUp("away");
    expect(order).toEqual(["heard", "deaf", "away"]);
    expect(told).toEqual([]);
    pulse.stop();
  });
});
