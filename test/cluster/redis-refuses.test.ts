import type { Redis } from "ioredis";
import { expect, it } from "vitest";
import type { Readiness } from "../../src/http/admin-app.ts";
import { freePort } from "../../src/local/ports.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/private-redis.ts";
import { rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { connectWitness } from "../support/witness.ts";

const ROOM = "chat:refused";
/** What G5 promises, and what a busy machine may add, in milliseconds. */
const ANSWER_WITHIN_MS = 2_000 + 500;
const UNREADY_AFTER_MS = 3_000;

/** The ways in which a Redis that is there takes no writes, with the word that it answers. */
const REFUSALS: Record<string, { begin(redis: Redis): Promise<unknown>; end(redis: Redis): Promise<unknown> }> = {
  OOM: {
    begin: (redis) => redis.config("SET", "maxmemory", "1"),
    end: (redis) => redis.config("SET", "maxmemory", "0"),
  },
  // The replica of a master that is not there keeps its data, and answers reads.
  READONLY: {
    begin: async (redis) => redis.replicaof("127.0.0.1", await freePort()),
    end: (redis) => redis.replicaof("NO", "ONE"),
  },
  NOREPLICAS: {
    begin: (redis) => redis.config("SET", "min-replicas-to-write", "1"),
    end: (redis) => redis.config("SET", "min-replicas-to-write", "0"),
  },
};

describeWithRedis("a Redis that takes no writes", () => {
  it("[G5] makes requests that write unavailable and the node unready, which says why; connections stay", async () => {
    const server = await startRedis();
    const redis = rawRedis(server.url);
    const cluster = await startCluster({ nodes: 1, env: { REDIS_URL: server.url, RATE_LIMITS: "off" } });
    const readiness = async () => (await (await fetch(`${cluster.adminUrls[0]}/readyz`)).json()) as Readiness;
    const member = await connectWitness(cluster.urls[0] ?? "");
    await member.ok("joinRoom", { room: ROOM });
    const timed = async (...request: Parameters<typeof member.refused>) => {
      const started = performance.now();
      const { error } = await member.refused(...request);
      expect(performance.now() - started).toBeLessThan(ANSWER_WITHIN_MS);
      return `${error.code}, ${error.retryable ? "retryable" : "final"}`;
    };
    for (const [word, { begin, end }] of Object.entries(REFUSALS)) {
      await begin(redis);
      const began = performance.now();
      const answers = await Promise.all([
        timed("sendMessage", { room: ROOM, data: word, id: word }),
        timed("joinRoom", { room: "chat:other" }),
        timed("setState", { room: ROOM, state: { word } }),
      ]);
      expect(answers, word).toEqual(answers.map(() => "unavailable, retryable"));
      // Reading goes on.
      await member.ok("getHistory", { room: ROOM });
      await eventually(
        async () =>
          expect(await readiness()).toEqual({
            ready: false,
            reason: expect.stringMatching(new RegExp(`^Redis has taken no writes for \\d+ ms: ${word} `)),
          }),
        { withinMs: UNREADY_AFTER_MS + 2_000 },
      );
      expect(performance.now() - began).toBeGreaterThan(UNREADY_AFTER_MS - 1_000);
      expect(member.of("stalled")).toEqual([]);
      await end(redis);
      await eventually(async () => expect((await readiness()).ready).toBe(true));
      await member.ok("sendMessage", { room: ROOM, data: word, id: word });
      await eventually(() => expect(member.of("message").map(({ id }) => id)).toContain(word));
    }
    expect(member.socket.connected).toBe(true);
    expect(member.of("message").map(({ id }) => id)).toEqual(Object.keys(REFUSALS));
    expect(cluster.logs(0).filter((line) => line.includes('"Redis takes no writes"'))).toHaveLength(3);
  });
});
