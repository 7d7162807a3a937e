import { expect, it } from "vitest";
import { Intervals } from "../../src/intervals.ts";
import { OccupiedRooms } from "../../src/presence/occupied-rooms.ts";
import { ROOM_SHARDS, shardOf } from "../../src/presence/redis-directory.ts";
import { Seats } from "../../src/presence/seats.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithRedis } from "../support/redis.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { join } from "./drafts.ts";
import { type RedisWorld, redisWorld } from "./redis-world.ts";

const rooms = Array.from({ length: 200 }, (_, i) => `chat:${i}`);

function seatsOf({ presence, directory }: RedisWorld, againMs = 60_000): Seats {
  const failed = (error: unknown) => {
    throw error;
  };
  const occupied = new OccupiedRooms(directory, new Intervals(), { gatherMs: 5, againMs });
  const seats = new Seats(presence, presence, occupied, failed);
  stopsWithTest(() => {
    seats.close();
    occupied.close();
  });
  return seats;
}

const listed = async ({ directory }: RedisWorld) =>
  (await directory.list(undefined, undefined, 100)).rooms.map(({ room }) => room);

describeWithRedis("the directory of rooms in Redis", () => {
  it("no key holds all rooms, and cursors of other shards are refused", async () => {
    const { directory, redis, keys } = await redisWorld();
    await directory.add(rooms);
    const sizes = await Promise.all(
      Array.from({ length: ROOM_SHARDS }, (_, shard) => redis.zcard(keys.roomShard(shard))),
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(rooms.length);
    expect(Math.max(...sizes)).toBeLessThan(20);
    const cursor = Buffer.from(`${ROOM_SHARDS} a`).toString("base64url");
    await expect(directory.list(undefined, cursor, 10)).rejects.toMatchObject({ code: "bad_request" });
  });

  it("says what it cannot read, and lists the rest", async () => {
    const world = await redisWorld();
    const seats = seatsOf(world);
    for (const room of ["chat:1", "chat:2", "chat:3"]) await seats.join(join("ada", `c ${room}`, { room }));
    await eventually(async () => expect(await listed(world)).toHaveLength(3));
    await world.redis.set(world.keys.roomShard(shardOf("chat:1")), "not a sorted set");
    await world.redis.del(world.keys.meta("chat:2"));
    await world.redis.set(world.keys.meta("chat:2"), "not a hash");
    const { rooms: left, missing } = await world.directory.list(undefined, undefined, 100);
    expect(left.map(({ room }) => room)).toEqual(["chat:3"]);
    expect([...missing].sort()).toEqual(["room chat:2", `shard ${shardOf("chat:1")} of the rooms' index`]);
  });

  it("a room is in it from its first member's coming to its last one's leaving, over all nodes", async () => {
    const one = await redisWorld();
    const other = await redisWorld({ prefix: one.prefix, incarnation: "life-2" });
    const [here, there] = [seatsOf(one), seatsOf(other)];
    const [ada, bob] = [join("ada", "c1"), join("bob", "c2")];
    await here.join(ada);
    await there.join(bob);
    await here.leave(ada);
    await eventually(async () => expect(await listed(one)).toEqual(["chat:1"]));
    await there.leave(bob);
    await eventually(async () => {
      expect(await listed(one)).toEqual([]);
      expect(await one.redis.zcard(one.keys.roomShard(shardOf("chat:1")))).toBe(0);
    });
  });

  it("[G4] what a dead node left in it goes with the sweep, what only its list remembers with the next list", async () => {
    const one = await redisWorld();
    const dead = await redisWorld({ prefix: one.prefix, incarnation: "life-2" });
    await seatsOf(dead).join(join("eve", "c9"));
    await eventually(async () => expect(await listed(one)).toEqual(["chat:1"]));
    await one.presence.sweepNode("life-2", { swept: (rooms) => one.directory.review(rooms), failed: expect.fail });
    expect(await one.redis.zcard(one.keys.roomShard(shardOf("chat:1")))).toBe(0);
    await one.directory.add(["chat:ghost"]);
    expect(await listed(one)).toEqual([]);
    expect(await one.redis.zcard(one.keys.roomShard(shardOf("chat:ghost")))).toBe(0);
  });

  it("what was lost of it, each node adds again", async () => {
    const world = await redisWorld();
    await seatsOf(world, 20).join(join("ada", "c1"));
    await eventually(async () => expect(await listed(world)).toEqual(["chat:1"]));
    await world.redis.del(world.keys.roomShard(shardOf("chat:1")));
    await eventually(async () => expect(await listed(world)).toEqual(["chat:1"]));
  });
});
