import { expect, it } from "vitest";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/private-redis.ts";
import { rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { startRedisProxy } from "../support/redis-proxy.ts";
import { connectWitness } from "../support/witness.ts";

const PREFIX = "owner";
const LEASE_SECONDS = 2;
/** A lease, noticing it, and slack for a busy machine. */
const GONE_WITHIN_MS = 8_000;
/** Another lease, and the 5 s that a node has for clearing up before others try. */
const FINISHED_WITHIN_MS = 20_000;

/** A private Redis, and nodes that reach it directly or over a network of the test's own. */
async function startWorld() {
  const server = await startRedis();
  const proxy = await startRedisProxy(server.port);
  const start = (nodes: number, url: string) =>
    startCluster({
      nodes,
      env: {
        REDIS_URL: url,
        REDIS_PREFIX: PREFIX,
        RATE_LIMITS: "off",
        LEASE_SECONDS: String(LEASE_SECONDS),
        MAX_ROOMS_PER_CONNECTION: "1000",
        MAX_PENDING_REQUESTS: "1000",
      },
    });
  return { server, proxy, start, redis: rawRedis(server.url) };
}

describeWithRedis("the owner of a seat dies", () => {
  it("[G4] in the middle of a join: whom nobody told that they are in is out again, announced once", async () => {
    const { server, proxy, start } = await startWorld();
    const [dying, living] = await Promise.all([start(1, proxy.url), start(1, server.url)]);
    const stays = await connectWitness(living.urls[0] ?? "", { claims: { sub: "stays" } });
    await stays.ok("joinRoom", { room: "chat:half-in" });
    const joins = await connectWitness(dying.urls[0] ?? "", { claims: { sub: "joins" }, reconnection: false });
    // Redis runs the join, and the node never hears of it.
    proxy.hold("commands", ["answers"]);
    joins.socket.emit("joinRoom", { room: "chat:half-in" }, () => undefined);
    await eventually(() => expect(stays.of("userJoined").map(({ user }) => user.id)).toEqual(["joins"]));
    await dying.kill(0);
    await eventually(() => expect(stays.of("userLeft").map(({ user }) => user.id)).toEqual(["joins"]), {
      withinMs: GONE_WITHIN_MS,
    });
    expect((await stays.ok("getMembers", { room: "chat:half-in" })).members.map(({ id }) => id)).toEqual(["stays"]);
    expect(stays.of("userJoined")).toHaveLength(1);
    expect(stays.of("userLeft")).toHaveLength(1);
  });

  it("[G4] and who clears up after it dies in the middle of that: another node finishes, each user announced once", async () => {
    const { server, proxy, start, redis } = await startWorld();
    const rooms = Array.from({ length: 400 }, (_, index) => `chat:${index}`);
    const [dying, far] = await Promise.all([start(1, server.url), start(1, proxy.url)]);
    const goes = await connectWitness(dying.urls[0] ?? "", { claims: { sub: "goes" }, reconnection: false });
    await Promise.all(rooms.map((room) => goes.ok("joinRoom", { room })));
    // Slow enough to be seen at it: twenty rooms a round trip or two.
    proxy.slow(100);
    await dying.kill(0);
    await eventually(() => expect(far.logs(0).some((line) => line.includes("a node is gone"))).toBe(true), {
      withinMs: GONE_WITHIN_MS,
    });
    const last = await start(1, server.url);
    const stays = await connectWitness(last.urls[0] ?? "", { claims: { sub: "stays" } });
    await Promise.all(rooms.map((room) => stays.ok("joinRoom", { room })));
    const left = () => stays.of("userLeft").map(({ room }) => room);
    const present = async () => {
      const seats = redis.pipeline();
      for (const room of rooms) seats.hget(`{${PREFIX}#/#${room}#}:presence`, "n:goes");
      return ((await seats.exec()) ?? []).filter(([, count]) => count !== null).length;
    };
    await far.kill(0);
    const unfinished = await present();
    expect(unfinished).toBeGreaterThan(0);
    expect(unfinished).toBeLessThan(rooms.length);
    await eventually(async () => expect(await present()).toBe(0), { withinMs: FINISHED_WITHIN_MS });
    await eventually(() => expect(left().length).toBeGreaterThanOrEqual(unfinished));
    expect(new Set(left()).size).toBe(left().length);
    expect(last.logs(0).filter((line) => line.includes("a node is gone")).length).toBeGreaterThanOrEqual(1);
    for (const { user } of stays.of("userLeft")) expect(user.id).toBe("goes");
  });
});
