import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { expect, it } from "vitest";
import { connectClient, TRANSPORTS } from "../support/client.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { Member } from "../support/member.ts";
import { startRedis } from "../support/private-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { signToken } from "../support/token.ts";

describeWithRedis("Redis closes its pub/sub connections under load", () => {
  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    it(`[G2] [G5] nothing is lost, doubled or reordered, and no client has to help (${name})`, async () => {
      // Its own Redis: the cut would hit every other test.
      const server = await startRedis();
      const redis = new Redis(server.url);
      stopsWithTest(() => redis.disconnect());
      const cluster = await startCluster({ env: { REDIS_URL: server.url } });
      const members: Member[] = [];
      for (const [who, url] of [...cluster.urls, ...cluster.urls].entries()) {
        const { socket } = await connectClient(url, await signToken({ sub: `u${who}` }), { transports });
        members.push(new Member(socket, "chat:cut"));
      }
      await eventually(() => expect(members.every(({ joined }) => joined)).toBe(true));

      let talking = true;
      const sent = members.map(async (member, who) => {
        for (let index = 0; talking; index++) {
          await member.send(`m${who}-${index}`);
          await delay(20);
        }
      });
      const least = () => Math.min(...members.map(({ messages }) => messages.at(-1)?.seq ?? 0));
      for (let cut = 1; cut <= 3; cut++) {
        const before = least();
        await eventually(() => expect(least()).toBeGreaterThan(before + 30), { withinMs: 10_000 });
        expect(await redis.call("CLIENT", "KILL", "TYPE", "pubsub")).toBeGreaterThanOrEqual(cluster.urls.length);
      }
      talking = false;
      await Promise.all(sent);

      const end = Math.max(...members.flatMap(({ acked }) => [...acked.values()]));
      await eventually(() => expect(least()).toBe(end), { withinMs: 10_000 });
      for (const member of members) {
        expect(member.violations).toEqual([]);
        expect(member.runs).toHaveLength(1);
        expect(member.recoveries).toBe(0);
        expect(member.messages.map(({ seq }) => seq)).toEqual(Array.from({ length: end }, (_, index) => index + 1));
      }
    });
  }

  it("[G2] the last message before silence is not lost either: nothing later shows the gap", async () => {
    const server = await startRedis();
    const redis = new Redis(server.url);
    stopsWithTest(() => redis.disconnect());
    const cluster = await startCluster({ nodes: 2, env: { REDIS_URL: server.url } });
    const [talker, listener] = await Promise.all(
      cluster.urls.map(async (url) => new Member((await connectClient(url, await signToken())).socket, "chat:last")),
    );
    if (talker === undefined || listener === undefined) throw new Error("two nodes, two members");
    await eventually(() => expect(talker.joined && listener.joined).toBe(true));
    for (let round = 0; round < 5; round++) {
      await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
      const seq = await talker.send(`round-${round}`);
      await eventually(() => expect(listener.messages.at(-1)?.seq).toBe(seq));
    }
    expect([...talker.violations, ...listener.violations]).toEqual([]);
  });
});
