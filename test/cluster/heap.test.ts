import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { freePort } from "../../src/local/ports.ts";
import { connectClient } from "../support/client.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { metric } from "../support/metric.ts";
import { channelsUnder, rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { signToken } from "../support/token.ts";

const PROBE = new URL("../support/heap-probe.mjs", import.meta.url);
const CONNECTIONS = 50;
const ROOMS = 100;
const JOINS_EACH = 10;
/** Joins, leaves and reconnects of one round. */
const ROUND = CONNECTIONS * (JOINS_EACH + JOINS_EACH / 2 + 1);
const MOVES = 10_000;
const SLACK = 1.1;

/** Connections come, join rooms, talk, leave half of them, and go: some by themselves, some cut off. */
async function round(url: string, number: number): Promise<void> {
  const token = await signToken({ sub: `u${number % 7}` });
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async (_, who) => {
      const { socket } = await connectClient(url, token, { reconnection: false });
      const rooms = Array.from({ length: JOINS_EACH }, (_, index) => `chat:${(who + 7 * index) % ROOMS}`);
      for (const room of rooms) {
        expect(await socket.emitWithAck("joinRoom", { room, state: { number } })).toMatchObject({ ok: true });
      }
      await socket.emitWithAck("sendMessage", { room: rooms[0], data: number });
      await socket.emitWithAck("sendSignal", { room: rooms[1], event: "pointer", data: number });
      for (const room of rooms.slice(0, JOINS_EACH / 2)) await socket.emitWithAck("leaveRoom", { room });
      if (who % 2 === 0) socket.disconnect();
      else socket.io.engine.close();
    }),
  );
}

async function quiet(cluster: TestCluster): Promise<void> {
  const redis = rawRedis();
  await eventually(
    async () => {
      expect(await metric(cluster, "roomcast_connections")).toBe(0);
      expect(await metric(cluster, "roomcast_feeds")).toBe(0);
      // Nothing but what a node without rooms listens to: the adapter's two channels.
      const channels = await channelsUnder(redis, `${cluster.prefix}#/#`);
      expect(channels.filter((channel) => channel.includes("chat:"))).toEqual([]);
      expect(await redis.keys(`${cluster.prefix}:{node:*}:rooms`)).toEqual([]);
    },
    { withinMs: 15_000 },
  );
  redis.disconnect();
}

describeWithRedis("the memory of a node", () => {
  it("[G9] is back after 10,000 joins, leaves and reconnects, with no room, feed or subscription left", async () => {
    const port = await freePort();
    const cluster = await startCluster({
      nodes: 1,
      env: {
        NODE_OPTIONS: `--import=${pathToFileURL(PROBE.pathname)}`,
        HEAP_PROBE_PORT: String(port),
        RATE_LIMITS: "off",
        GRACE_SECONDS: "1",
        FEED_LINGER_MS: "100",
        DEDUPE_SECONDS: "1",
      },
    });
    const heap = async () => {
      await quiet(cluster);
      return Number(await (await fetch(`http://127.0.0.1:${port}`)).text());
    };
    let number = 0;
    const move = async (moves: number) => {
      for (let done = 0; done < moves; done += ROUND) await round(cluster.urls[0] ?? "", number++);
    };
    // What is made once, for as long as the process lives, is there after this.
    await move(MOVES / 4);
    const before = await heap();
    await move(MOVES);
    expect((await heap()) / before).toBeLessThan(SLACK);
  });
});
