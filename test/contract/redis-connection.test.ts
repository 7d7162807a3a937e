import { expect, it } from "vitest";
import { type ConnectionRole, connectRedis, type Outage, retryPause } from "../../src/redis/connection.ts";
import { requireServerVersion } from "../../src/redis/server-version.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/private-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { redisUrl } from "../support/run-redis.ts";
import { stopsWithTest } from "../support/teardown.ts";

function open(url: string, role: ConnectionRole, pause = retryPause()) {
  const outages: Outage[] = [];
  const report = (outage: Outage) => void outages.push(outage);
  const redis = connectRedis(url, { role, name: `test-${role}`, pause, report });
  stopsWithTest(() => redis.disconnect());
  return { redis, outages, ready: () => eventually(() => expect(redis.status).toBe("ready"), { withinMs: 8_000 }) };
}

describeWithRedis("a connection to Redis", () => {
  it.each(["commands", "reads", "subscriber"] as const)(
    "[G5] of the role %s comes back by itself, and an outage is reported when it begins and when it ends, however long",
    async (role) => {
      const server = await startRedis();
      const { redis, outages, ready } = open(server.url, role);
      await ready();
      expect(outages).toEqual([]);
      await server.kill();
      let tries = 0;
      redis.on("reconnecting", () => {
        tries += 1;
      });
      await eventually(() => expect(tries).toBeGreaterThan(3), { withinMs: 8_000 });
      expect(outages).toEqual([{ kind: "lost", role, error: expect.any(Error) }]);
      await server.start();
      await ready();
      expect(outages).toEqual([expect.anything(), { kind: "back", role, afterMs: expect.any(Number) }]);
      redis.disconnect();
      await eventually(() => expect(redis.status).toBe("end"));
      expect(outages).toHaveLength(2);
    },
  );

  it("[G5] tries in the same moment as the others of its node: none waits for another one's pause", async () => {
    const server = await startRedis();
    const pause = retryPause();
    const [commands, reads] = [open(server.url, "commands", pause), open(server.url, "reads", pause)];
    await Promise.all([commands.ready(), reads.ready()]);
    await server.kill();
    const planned = [commands, reads].map(({ redis }) => {
      const tries: number[] = [];
      redis.on("reconnecting", (pauseMs: number) => tries.push(performance.now() + pauseMs));
      return tries;
    });
    const enough = () => expect(planned.map(({ length }) => length >= 8)).toEqual([true, true]);
    await eventually(enough, { withinMs: 15_000 });
    // By the longest pause both are in step, whatever their first tries met. The last one may not be planned by both yet.
    for (const at of planned[1]?.slice(-3, -1) ?? []) {
      expect(Math.min(...(planned[0] ?? []).map((other) => Math.abs(other - at)))).toBeLessThan(50);
    }
    await server.start();
    await Promise.all([commands.ready(), reads.ready()]);
  });

  it("that cannot be opened is reported once, and opens when Redis comes", async () => {
    const server = await startRedis();
    await server.kill();
    const { redis, outages, ready } = open(server.url, "commands");
    await expect(redis.ping()).rejects.toThrow("writeable");
    await eventually(() => expect(outages).toHaveLength(1));
    await expect(requireServerVersion(redis)).rejects.toMatchObject({ code: "unavailable" });
    await server.start();
    await ready();
    await requireServerVersion(redis);
    expect(outages.map(({ kind }) => kind)).toEqual(["lost", "back"]);
  });

  it("[G5] refuses what it cannot send, at once: nothing waits for the next connection", async () => {
    const server = await startRedis();
    const { redis, ready } = open(server.url, "commands");
    await ready();
    await server.kill();
    await eventually(() => expect(redis.status).not.toBe("ready"));
    const started = performance.now();
    const refused = Array.from({ length: 20 }, () => redis.set("b", "1").then(String, String));
    for (const outcome of await Promise.all(refused)) expect(outcome).toContain("isn't writeable");
    expect(performance.now() - started).toBeLessThan(500);
    await server.start();
    await ready();
    expect(await redis.exists("b")).toBe(0);
  });

  it("subscribes nothing by itself after a reconnect: that is for who knows what is still wanted", async () => {
    const { redis, ready } = open(redisUrl(), "subscriber");
    const { redis: other, ready: otherReady } = open(redisUrl(), "commands");
    await Promise.all([ready(), otherReady()]);
    const channel = `t-${process.pid}-${Date.now()}`;
    await redis.ssubscribe(channel);
    const listeners = async () => (await other.call("PUBSUB", "SHARDNUMSUB", channel)) as unknown[];
    expect(await listeners()).toEqual([channel, 1]);
    redis.disconnect(true);
    await eventually(() => expect(redis.status).not.toBe("ready"));
    await ready();
    expect(await listeners()).toEqual([channel, 0]);
    await redis.ssubscribe(channel);
    expect(await listeners()).toEqual([channel, 1]);
  });

  it("takes no options from the URL's query, and bears its name", async () => {
    const { redis, ready } = open(`${redisUrl()}?enableOfflineQueue=true&socketTimeout=99`, "commands");
    await ready();
    expect(redis.options).toMatchObject({ enableOfflineQueue: false, socketTimeout: 2_000, maxRetriesPerRequest: 0 });
    expect(await redis.client("GETNAME")).toBe("test-commands");
  });
});
