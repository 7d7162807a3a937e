import { expect, it } from "vitest";
import { startSwallowingProxy } from "../../faults/swallowing-proxy.ts";
import type { NodeLoad } from "../../src/nodes/node-list.ts";
import { RedisLeases } from "../../src/nodes/redis-leases.ts";
import { RedisNodeList } from "../../src/nodes/redis-node-list.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/private-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { RedisPair } from "../support/redis-pair.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { redisWorld } from "./redis-world.ts";

const LEASE_MS = 60_000;
/** By Redis' clock: long ago, as a moment of a sorted set. */
const LONG_AGO = 1_000;

const LOAD: NodeLoad = {
  name: "node-1",
  startedAt: 1,
  connections: 2,
  rooms: 3,
  eventLoopUtilization: 0.5,
  draining: false,
  version: "0.0.0",
};

async function leasesInRedis(url?: string) {
  const { commands, keys, redis } = await redisWorld(url === undefined ? {} : { url });
  const nodes = new RedisNodeList({ commands, reads: commands, keys });
  let load: NodeLoad | undefined = LOAD;
  const leases = new RedisLeases(commands, keys, LEASE_MS, { nodes, load: () => load });
  const tell = (next: NodeLoad | undefined) => {
    load = next;
  };
  return { leases, nodes, keys, redis, tell };
}

describeWithRedis("leases in Redis", () => {
  it("[G4] a renewal tells how the node is, and finds nobody gone where all live", async () => {
    const { leases, nodes, tell } = await leasesInRedis();
    tell(undefined);
    expect(await leases.renew("a")).toEqual({
      state: "lost",
      moved: false,
      keptUntil: expect.any(Number),
      someGone: false,
    });
    expect((await nodes.list()).missing).toEqual(["how node a is"]);
    tell(LOAD);
    expect(await leases.renew("a")).toEqual({
      state: "held",
      moved: false,
      keptUntil: expect.any(Number),
      someGone: false,
    });
    tell({ ...LOAD, connections: 7 });
    await leases.renew("a");
    expect(await nodes.list()).toEqual({ nodes: [{ id: "a", ...LOAD, connections: 7 }], missing: [] });
    expect(await leases.claim("a")).toBeUndefined();
  });

  it("[G4] a renewal says that there is a node to clear up after, until somebody has it", async () => {
    const { leases, keys, redis } = await leasesInRedis();
    await leases.renew("a");
    await redis.zadd(keys.leases(), LONG_AGO, "dead");
    expect(await leases.renew("a")).toEqual({
      state: "held",
      moved: false,
      keptUntil: expect.any(Number),
      someGone: true,
    });
    expect(await leases.claim("a")).toBe("dead");
    expect(await leases.renew("a")).toEqual({
      state: "held",
      moved: false,
      keptUntil: expect.any(Number),
      someGone: false,
    });
    await leases.cleared("dead");
    expect(await leases.renew("a")).toEqual({
      state: "held",
      moved: false,
      keptUntil: expect.any(Number),
      someGone: false,
    });
    expect(await leases.claim("a")).toBeUndefined();
  });

  it("[G5] a renewal says where the lease had run out, and nobody had noticed", async () => {
    const { leases, keys, redis } = await leasesInRedis();
    await leases.renew("a");
    await redis.zadd(keys.leases(), LONG_AGO, "a");
    expect(await leases.renew("a")).toMatchObject({ state: "lapsed", someGone: false });
    expect(await leases.renew("a")).toMatchObject({ state: "held" });
  });

  it("[G4] and says so again where whoever began to clear up did not end", async () => {
    const { leases, keys, redis } = await leasesInRedis();
    await leases.renew("a");
    await redis.zadd(keys.gone(), LONG_AGO, "half-cleared");
    expect(await leases.renew("a")).toEqual({
      state: "held",
      moved: false,
      keptUntil: expect.any(Number),
      someGone: true,
    });
    expect(await leases.claim("a")).toBe("half-cleared");
    expect(await leases.renew("a")).toEqual({
      state: "held",
      moved: false,
      keptUntil: expect.any(Number),
      someGone: false,
    });
  });

  it("[G5] a renewal says once that Redis was started again, also to a life that it hears of for the first time", async () => {
    const server = await startRedis({ aof: true });
    const { leases, keys, redis } = await leasesInRedis(server.url);
    const beganAt = performance.now();
    expect(await leases.renew("a")).toMatchObject({ state: "lost", moved: false });
    await leases.renew("a");
    const restartedAt = performance.now();
    const restart = async () => {
      await server.kill();
      await server.start();
    };
    await restart();
    const { keptUntil, ...told } = await eventually(() => leases.renew("a"));
    expect(told).toMatchObject({ state: "held", moved: true });
    // All that was written is in its file.
    expect(keptUntil).toBeGreaterThan(beganAt);
    expect(keptUntil).toBeLessThan(restartedAt);
    expect(await leases.renew("a")).toMatchObject({ state: "held", moved: false });
    // A life that has no lease: its answer has no end, as that of one which is heard of for the first time has none before.
    // By a connection of the test's own, which comes back by itself, later than that of the leases or sooner.
    await eventually(() => redis.zadd(keys.leases(), LONG_AGO, "claimed"));
    expect(await leases.claim("a")).toBe("claimed");
    expect(await leases.renew("claimed")).toMatchObject({ state: "claimed", moved: false });
    await restart();
    expect(await eventually(() => leases.renew("b"))).toMatchObject({ state: "lost", moved: true, keptUntil: 0 });
    expect(await leases.renew("a")).toMatchObject({ state: "held", moved: false });
  });

  it("[G5] a renewal by a server that lacks the last ones tells until when what was written is there", async () => {
    const pair = await RedisPair.start();
    const proxy = await startSwallowingProxy(pair.primary.port);
    stopsWithTest(() => proxy.close());
    const { leases } = await leasesInRedis(`redis://127.0.0.1:${proxy.port}`);
    await leases.renew("a");
    const [keptFrom, millisecond] = [performance.now(), Date.now()];
    // Of two in one millisecond, by the server's clock, the first counts.
    await eventually(() => expect(Date.now()).toBeGreaterThan(millisecond + 1));
    await leases.renew("a");
    const keptTo = performance.now();
    await pair.fallBehind();
    for (let lost = 0; lost < 3; lost++) await leases.renew("a");
    await pair.failOver();
    proxy.turnTo(pair.primary.port);
    const { keptUntil, moved } = await eventually(() => leases.renew("a"));
    expect(moved).toBe(true);
    expect(keptUntil).toBeGreaterThan(keptFrom);
    expect(keptUntil).toBeLessThan(keptTo);
  });

  it("[G5] an earlier life's lease is put off while it is there, and its node stands in no list; one that was claimed leaves nothing", async () => {
    const { leases, nodes, keys, redis } = await leasesInRedis();
    await leases.renew("a");
    await redis.zadd(keys.leases(), Date.now() + 1_000, "a");
    await leases.prolong("a");
    expect(Number(await redis.zscore(keys.leases(), "a"))).toBeGreaterThan(Date.now() + LEASE_MS / 2);
    expect(await nodes.list()).toEqual({ nodes: [], missing: [] });
    await redis.zadd(keys.leases(), LONG_AGO, "a");
    // Nobody is given one whose own lease has run out: all others' may have with it.
    expect(await leases.claim("a")).toBeUndefined();
    expect(await leases.claim("b")).toBeUndefined();
    await redis.zadd(keys.leases(), Date.now() + LEASE_MS, "b");
    expect(await leases.claim("b")).toBe("a");
    await redis.zrem(keys.leases(), "b");
    await leases.cleared("a");
    await leases.prolong("a");
    expect(await redis.exists(keys.leases(), keys.nodes())).toBe(0);
  });

  it("[G4] a node that was claimed learns it, and leaves nothing behind by asking", async () => {
    const { leases, keys, redis } = await leasesInRedis();
    await redis.zadd(keys.leases(), LONG_AGO, "paused", Date.now() + LEASE_MS, "a");
    expect(await leases.claim("a")).toBe("paused");
    expect(await leases.renew("paused")).toEqual({
      state: "claimed",
      moved: false,
      keptUntil: expect.any(Number),
      someGone: false,
    });
    expect(await redis.zrange(keys.leases(), 0, "-1")).toEqual(["a"]);
    expect(await redis.exists(keys.nodes())).toBe(0);
  });
});
