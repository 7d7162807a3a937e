import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import type { Redis } from "ioredis";
import { describe, expect, it, vi } from "vitest";
import { RedisChannels } from "../../src/adapter/redis-channels.ts";
import type { ChannelListener } from "../../src/feed/room-channels.ts";
import { Keys } from "../../src/redis/keys.ts";

/** A subscribing connection that Redis may refuse. */
class ModelSubscriber extends EventEmitter {
  status = "ready";
  refusals = 0;
  readonly calls: number[] = [];
  /** All calls with the channels' names, and whether they wait for the end of the turn's writes. */
  readonly said: string[] = [];
  readonly stream = new PassThrough();

  async ssubscribe(...names: string[]): Promise<number> {
    this.calls.push(names.length);
    this.said.push(`subscribe ${names.join()}`);
    if (this.refusals > 0) {
      this.refusals -= 1;
      throw new Error("BUSY Redis is busy running a script.");
    }
    return names.length;
  }

  async sunsubscribe(name: string): Promise<number> {
    this.said.push(`unsubscribe ${name}${this.stream.writableCorked > 0 ? ", put together" : ""}`);
    return 0;
  }

  reconnect(): void {
    this.status = "ready";
    this.emit("ready");
  }
}

async function channelsWith(rooms: number) {
  const subscriber = new ModelSubscriber();
  const failures: unknown[] = [];
  const channels = new RedisChannels(subscriber as unknown as Redis, new Keys("t"), (error) => failures.push(error));
  const resumed = new Set<string>();
  const listener = (room: string): ChannelListener => ({
    entry() {},
    presence() {},
    broadcast() {},
    resumed: () => resumed.add(room),
  });
  for (let index = 0; index < rooms; index++) await channels.open(`chat:${index}`, listener(`chat:${index}`));
  subscriber.calls.length = 0;
  return { subscriber, channels, failures, resumed };
}

describe("the channels of a node after a reconnect", () => {
  it("[G5] are subscribed 500 a call, and say so once Redis has confirmed", async () => {
    const { subscriber, channels, resumed } = await channelsWith(1_200);
    channels.close("chat:1199");
    subscriber.reconnect();
    await vi.waitFor(() => expect(resumed.size).toBe(1_199));
    expect(subscriber.calls).toEqual([500, 500, 199]);
  });

  it("[G5] are all subscribed in the end where Redis refuses some of them for a while", async () => {
    // The first refusal used to be the end of it: all later channels stayed deaf, though the node heard itself.
    const { subscriber, failures, resumed } = await channelsWith(1_200);
    subscriber.refusals = 2;
    subscriber.reconnect();
    await vi.waitFor(() => expect(resumed.size).toBe(1_200), { timeout: 3_000 });
    expect(failures).toHaveLength(2);
    expect(subscriber.calls).toEqual([500, 500, 500, 500, 200]);
  });

  it("[G5] are left to the next connection where this one is lost meanwhile", async () => {
    const { subscriber, resumed } = await channelsWith(600);
    subscriber.refusals = 1;
    subscriber.reconnect();
    subscriber.status = "reconnecting";
    await vi.waitFor(() => expect(subscriber.calls).toEqual([500]));
    subscriber.reconnect();
    await vi.waitFor(() => expect(resumed.size).toBe(600));
    expect(subscriber.calls).toEqual([500, 500, 100]);
  });
});

describe("the channels of a node", () => {
  it("are unsubscribed from together, and in the order of the calls", async () => {
    const { subscriber, channels } = await channelsWith(3);
    const [first = "", second = ""] = [0, 1].map((index) => new Keys("t").channel(`chat:${index}`));
    subscriber.said.length = 0;
    channels.close("chat:0");
    channels.close("chat:1");
    const again = channels.open("chat:0", { entry() {}, presence() {}, broadcast() {}, resumed() {} });
    await again;
    expect(subscriber.said).toEqual([
      `unsubscribe ${first}, put together`,
      `unsubscribe ${second}, put together`,
      `subscribe ${first}`,
    ]);
    await vi.waitFor(() => expect(subscriber.stream.writableCorked).toBe(0));
  });
});
