import { beforeAll, expect, it } from "vitest";
import { MissingRight } from "../../src/errors.ts";
import type { JoinRequest } from "../../src/presence/presence.ts";
import { eventually } from "../support/eventually.ts";
import { type PrivateRedis, startRedis } from "../support/private-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { draft, join } from "./drafts.ts";
import { connected, type RedisWorld, redisWorld } from "./redis-world.ts";

const ROOM = "chat:1";

async function members({ presence }: RedisWorld): Promise<string[]> {
  return (await presence.members(ROOM, undefined, 100)).members.map(({ id }) => id);
}

describeWithRedis("joins in Redis", () => {
  it("[G3] a join that arrives after it was given up leaves no ghost", async () => {
    const world = await redisWorld();
    const ear = await world.hear(ROOM);
    // The node gave up waiting and sent the leave on a new connection, which was faster than the old one.
    await world.presence.leave(join("ada", "c1", { attempt: 1 }));
    await expect(world.presence.join(join("ada", "c1", { attempt: 1 }))).rejects.toMatchObject({ code: "superseded" });
    await world.presence.join(join("ada", "c1", { attempt: 2 }));
    await world.presence.leave(join("ada", "c1", { attempt: 3 }));
    await world.presence.leave(join("ada", "c1", { attempt: 1 }));
    await expect(world.presence.join(join("ada", "c1", { attempt: 3 }))).rejects.toMatchObject({ code: "superseded" });
    expect(await members(world)).toEqual([]);
    expect((await world.presence.join(join("ada", "c1", { attempt: 4 }))).memberCount).toBe(1);
    await eventually(() =>
      expect(ear.changes.map(({ kind }) => kind)).toEqual(["userJoined", "userLeft", "userJoined"]),
    );
    expect(await world.redis.pttl(world.keys.left(ROOM, "c1"))).toBeGreaterThan(0);
  });

  it("a leave that finds its join makes no mark", async () => {
    const { presence, redis, keys } = await redisWorld();
    await presence.join(join("ada", "c1"));
    await presence.leave(join("ada", "c1"));
    expect(await redis.exists(keys.left(ROOM, "c1"))).toBe(0);
  });

  // A node that was paused was swept, and its own clients heard that they left: who is put back must hear of itself, too.
  it("[G4] who was shown to leave is put back by a change that reaches its own connection, and who was not by none", async () => {
    const world = await redisWorld();
    const ear = await world.hear(ROOM);
    await world.presence.join(join("ada", "c1"));
    await world.presence.join(join("ben", "c2", { tells: "everybody" }));
    await world.presence.join(join("cleo", "c3", { tells: "nobody" }));
    await world.presence.join(join("dora", "c4"));
    await eventually(() => expect(ear.changes).toHaveLength(3));
    expect(ear.changes.map(({ user, by, version }) => [user.id, by, version])).toEqual([
      ["ada", "c1", 1],
      ["ben", "", 2],
      ["dora", "c4", 4],
    ]);
  });

  it("[G5] who is put back with what may be old leaves the name and state that are known, and brings them where none are", async () => {
    const { presence } = await redisWorld();
    const tab = (connection: string, name: string, state: string | undefined, options: Partial<JoinRequest> = {}) =>
      presence.join(join("ada", connection, { name, state, ...options }));
    const members = async () => (await presence.members(ROOM, undefined, 10)).members;
    await tab("c1", "Ada", '{"n":1}');
    await tab("c2", "Ada L.", '{"n":2}');
    const putBack = { tells: "nobody", keepsKnown: true } as const;
    const { version, members: listed } = await tab("c1", "Ada", '{"n":1}', putBack);
    expect({ version, listed }).toEqual({ version: 2, listed: [] });
    expect(await members()).toEqual([{ id: "ada", name: "Ada L.", state: { n: 2 } }]);
    // Told lately: a state that the store lost.
    await tab("c1", "Ada L.", '{"n":3}', { tells: "nobody" });
    expect(await members()).toEqual([{ id: "ada", name: "Ada L.", state: { n: 3 } }]);
    for (const connection of ["c1", "c2"]) await presence.leave(join("ada", connection));
    await tab("c1", "Ada", '{"n":1}', putBack);
    expect(await members()).toEqual([{ id: "ada", name: "Ada", state: { n: 1 } }]);
    await presence.leave(join("ada", "c1"));
    await tab("c1", "Ada", undefined, putBack);
    expect(await members()).toEqual([{ id: "ada", name: "Ada" }]);
  });

  it("[G7] a banned user is refused with `banned`, and nothing changed; a ban that ran out is none", async () => {
    const world = await redisWorld();
    const { presence, redis, keys } = world;
    const until = Date.now() + 60_000;
    await redis.zadd(keys.bans(ROOM), until, "eve", Date.now() - 60_000, "bob");
    await expect(presence.join(join("eve", "c1"))).rejects.toMatchObject({
      code: "banned",
      message: expect.stringContaining(new Date(until).toISOString()),
    });
    expect(await redis.exists(keys.meta(ROOM), keys.presence(ROOM), keys.members(ROOM))).toBe(0);
    expect(await presence.join(join("bob", "c2"))).toMatchObject({ memberCount: 1, version: 1 });
  });

  it("a room whose head was lost keeps its members in order", async () => {
    const world = await redisWorld();
    const { presence, redis, keys } = world;
    for (const user of ["a", "b", "c"]) await presence.join(join(user, `c-${user}`));
    await redis.del(keys.meta(ROOM));
    expect(await presence.join(join("d", "c-d"))).toMatchObject({ version: 4, memberCount: 4 });
    expect(await members(world)).toEqual(["a", "b", "c", "d"]);
    await redis.del(keys.meta(ROOM));
    await presence.leave(join("a", "c-a"));
    expect(await redis.pttl(keys.meta(ROOM))).toBeGreaterThan(0);
  });

  it("where Redis does not let it publish, the seat is taken all the same, and given up by a leave", async () => {
    const world = await redisWorld();
    const { presence, redis, commands, prefix } = world;
    const user = `u-${prefix}`;
    await redis.call("ACL", "SETUSER", user, "on", ">secret", "~*", "+@all", "resetchannels");
    await commands.call("AUTH", user, "secret");
    const refused = presence.join(join("ada", "c1"));
    await expect(refused).rejects.toThrow(/publish|permission/i);
    await expect(refused).rejects.toThrow(MissingRight);
    await redis.call("ACL", "SETUSER", user, "allchannels", "-hset");
    await expect(presence.join(join("bob", "c2"))).rejects.toThrow(MissingRight);
    await redis.call("ACL", "SETUSER", user, "+hset");
    await presence.leave(join("bob", "c2"));
    await presence.leave(join("ada", "c1"));
    expect(await members(world)).toEqual([]);
    expect((await presence.join(join("ada", "c1", { attempt: 2 }))).memberCount).toBe(1);
    await redis.call("ACL", "DELUSER", user);
  });

  it("notes and forgets the rooms of this life of the node", async () => {
    const { presence, redis, keys } = await redisWorld({ incarnation: "life-7" });
    await presence.noteRoom("chat:1");
    await presence.noteRoom("chat:1");
    await presence.noteRoom("é:2");
    expect((await redis.smembers(keys.nodeRooms("life-7"))).sort()).toEqual(["chat:1", "é:2"]);
    await presence.forgetRoom("chat:1");
    await presence.forgetRoom("é:2");
    expect(await redis.exists(keys.nodeRooms("life-7"))).toBe(0);
  });
});

describeWithRedis("the cost of a large room", () => {
  let server: PrivateRedis;
  beforeAll(async () => {
    server = await startRedis();
    return () => server.stop();
  });

  /** Calls by command since the last reset, but for the test's own. */
  async function calls(redis: RedisWorld["redis"], act: () => Promise<unknown>): Promise<Record<string, number>> {
    await redis.config("RESETSTAT");
    await act();
    const stats = await redis.info("commandstats");
    const counts: Record<string, number> = {};
    for (const [, name = "", count] of stats.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)) {
      if (!/^(info|config)/.test(name)) counts[name] = Number(count);
    }
    return counts;
  }

  it("a join, a state, a leave and a list take as many commands as in a small one, none over all members", async () => {
    const world = await redisWorld({ url: server.url });
    const { presence, redis } = world;
    const act = async (room: string) => {
      await presence.join(join("new", "c-new", { room, name: "New" }));
      await presence.setState(join("new", "c-new", { room }), '{"a":1}');
      await presence.members(room, undefined, 100);
      await presence.leave(join("new", "c-new", { room }));
      await world.log.check([{ room, position: { epoch: "", seq: 0, ts: 0 }, retention: join("", "").retention }]);
    };
    for (let i = 0; i < 5; i++) await presence.join(join(`u${i}`, `c${i}`, { room: "small" }));
    for (let start = 0; start < 5_000; start += 500) {
      const some = Array.from({ length: 500 }, (_, i) => start + i);
      await Promise.all(some.map((i) => presence.join(join(`u${i}`, `c${i}`, { room: "large" }))));
    }
    const small = await calls(redis, () => act("small"));
    const large = await calls(redis, () => act("large"));
    expect(large).toEqual(small);
    for (const linear of ["hgetall", "hkeys", "hvals", "hscan", "zrange", "smembers", "keys", "scan", "zcount"]) {
      expect(large).not.toHaveProperty(linear);
    }
    expect((await presence.members("large", undefined, 100)).memberCount).toBe(5_000);
  });

  it("an append takes as many commands after 2,000 messages as after 20", async () => {
    const { log, redis } = await redisWorld({ url: server.url });
    const fill = async (room: string, count: number) => {
      const ids = Array.from({ length: count }, (_, i) => `m${i}`);
      await Promise.all(ids.map((id) => log.append(room, draft(id))));
    };
    await fill("small", 20);
    await fill("large", 2_000);
    const small = await calls(redis, () => log.append("small", draft("x")));
    const large = await calls(redis, () => log.append("large", draft("x")));
    expect(large).toEqual(small);
    expect(Object.values(small).reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(8);
  });
});

describeWithRedis("a sweep", () => {
  it("[G4] takes out the seats of a dead node, announces each user once, and leaves others alone", async () => {
    const dead = await redisWorld({ incarnation: "dead" });
    const alive = await redisWorld({ incarnation: "alive", prefix: dead.prefix });
    await dead.presence.join(join("ada", "c1", { name: "Ada", state: "{}" }));
    await dead.presence.join(join("ada", "c2", { name: "Ada" }));
    await dead.presence.join(join("bob", "c3"));
    await alive.presence.join(join("bob", "c4"));
    await alive.presence.join(join("eve", "c5"));
    const ear = await alive.hear(ROOM);
    expect(await alive.presence.sweep(ROOM, "dead")).toBeUndefined();
    expect(await alive.presence.sweep(ROOM, "dead")).toBeUndefined();
    expect(await members(alive)).toEqual(["bob", "eve"]);
    await alive.presence.leave(join("bob", "c4"));
    await eventually(() =>
      expect(ear.changes).toEqual([
        expect.objectContaining({
          kind: "userLeft",
          user: { id: "ada", name: "Ada", state: {} },
          memberCount: 2,
          version: 4,
        }),
        expect.objectContaining({ kind: "userLeft", user: { id: "bob" }, memberCount: 1, version: 5 }),
      ]),
    );
  });

  it("[G7] of a node that stopped takes out one user, in one room or in all, or everybody in one room", async () => {
    const stopped = await redisWorld({ incarnation: "stopped" });
    const alive = await redisWorld({ incarnation: "alive", prefix: stopped.prefix });
    const rooms = ["chat:1", "chat:2", "chat:3"];
    for (const room of rooms) {
      await stopped.presence.noteRoom(room);
      for (const user of ["ada", "bob"]) await stopped.presence.join(join(user, `s-${user}`, { room }));
      await stopped.presence.join(join("ada", "s-ada-2", { room }));
    }
    await alive.presence.join(join("ada", "a-ada", { room: "chat:3" }));
    const who = async () => {
      const pages = await Promise.all(rooms.map((room) => alive.presence.members(room, undefined, 10)));
      return pages.map(({ members }) => members.map(({ id }) => id).join());
    };
    const ear = await alive.hear("chat:1");
    await alive.presence.endGrace("stopped", { room: "chat:1", user: "nobody" });
    await alive.presence.endGrace("stopped", { room: "chat:1", user: "ada" });
    expect(await who()).toEqual(["bob", "ada,bob", "ada,bob"]);
    await alive.presence.endGrace("stopped", { user: "ada" });
    expect(await who()).toEqual(["bob", "bob", "ada,bob"]);
    await alive.presence.endGrace("stopped", { room: "chat:3" });
    expect(await who()).toEqual(["bob", "bob", "ada"]);
    // Whoever sits here by another node stays, and whoever is left is swept like everybody.
    await alive.presence.sweepNode("stopped", { swept: async () => undefined, failed: expect.fail });
    expect(await who()).toEqual(["", "", "ada"]);
    await eventually(() =>
      expect(ear.changes.map(({ kind, user }) => `${kind} ${user.id}`)).toEqual(["userLeft ada", "userLeft bob"]),
    );
  });

  it("[G4] takes the members of a node that is gone out of all rooms but one that is broken, and out of that once it is mended", async () => {
    const gone = await redisWorld({ incarnation: "gone" });
    const alive = await redisWorld({ incarnation: "alive", prefix: gone.prefix });
    const broken = "chat:broken";
    const aside = `${gone.prefix}:aside`;
    const rooms = [...Array.from({ length: 60 }, (_, number) => `chat:${number}`), broken];
    for (const room of rooms) {
      await gone.presence.noteRoom(room);
      await gone.presence.join(join("ada", "c1", { room }));
    }
    await gone.redis.rename(gone.keys.presence(broken), aside);
    await gone.redis.set(gone.keys.presence(broken), "no hash");
    const [swept, failed]: [string[], string[]] = [[], []];
    const sweep = () =>
      alive.presence.sweepNode("gone", {
        swept: async (names) => {
          swept.push(...names);
        },
        failed: (room) => {
          failed.push(room);
        },
      });
    await expect(sweep()).rejects.toMatchObject({ cause: { message: expect.stringMatching(/^WRONGTYPE/) } });
    expect(failed).toEqual([broken]);
    expect(swept.toSorted()).toEqual(rooms.filter((room) => room !== broken).toSorted());
    await gone.redis.rename(aside, gone.keys.presence(broken));
    await sweep();
    expect(swept).toContain(broken);
    expect(await alive.redis.exists(alive.keys.nodeRooms("gone"))).toBe(0);
    expect(await alive.presence.members(broken, undefined, 10)).toMatchObject({ memberCount: 0 });
  });

  it("[G4] goes slice by slice through a large room, also when two nodes sweep it", async () => {
    const dead = await redisWorld({ incarnation: "dead" });
    const [one, two] = await Promise.all([
      redisWorld({ incarnation: "one", prefix: dead.prefix }),
      redisWorld({ incarnation: "two", prefix: dead.prefix }),
    ]);
    const numbers = Array.from({ length: 1_500 }, (_, i) => i);
    await Promise.all(numbers.map((i) => dead.presence.join(join(`dead${i}`, `d${i}`))));
    await Promise.all(numbers.slice(0, 50).map((i) => one.presence.join(join(`live${i}`, `l${i}`))));
    const ear = await one.hear(ROOM);
    const sweepAll = async ({ presence }: RedisWorld) => {
      let slices = 0;
      let cursor: string | undefined;
      do {
        cursor = await presence.sweep(ROOM, "dead", cursor);
        slices += 1;
      } while (cursor !== undefined);
      return slices;
    };
    const slices = await Promise.all([sweepAll(one), sweepAll(two)]);
    expect(Math.min(...slices)).toBeGreaterThan(3);
    expect(await one.presence.members(ROOM, undefined, 100)).toMatchObject({ memberCount: 50, version: 3_050 });
    await eventually(() => expect(ear.changes).toHaveLength(1_500));
    expect(new Set(ear.changes.map(({ user }) => user.id)).size).toBe(1_500);
    const { presence, keys, redis } = one;
    await Promise.all(numbers.slice(0, 50).map((i) => presence.leave(join(`live${i}`, `l${i}`))));
    expect(await redis.exists(keys.presence(ROOM), keys.members(ROOM))).toBe(0);
  });
});

describeWithRedis("what is published", () => {
  it("is the sharded adapter's format: a broadcast of one packet to the room", async () => {
    const world = await redisWorld();
    const room = 'chat:"\\ü';
    const plain = await connected("subscriber");
    const heard: unknown[] = [];
    plain.on("smessage", (_channel: string, message: string) => heard.push(JSON.parse(message)));
    await plain.ssubscribe(`${world.prefix}#/#${room}#`);
    await world.presence.join(join("ada", "c1", { room, name: "Ada" }));
    await world.presence.setState(join("ada", "c1", { room }), '{"a":[]}');
    const { epoch, seq, ts } = await world.log.append(room, draft("m1", { data: '{"]}}}":"\\u2028"}' }));
    await world.presence.leave(join("ada", "c1", { room }));
    await eventually(() => expect(heard).toHaveLength(4));
    const broadcast = (except: string[], ...data: unknown[]) => ({
      uid: "roomcast",
      nsp: "/",
      type: 3,
      data: { opts: { rooms: [room], except, flags: {} }, packet: { type: 2, nsp: "/", data } },
    });
    const user = { id: "ada", name: "Ada" };
    const withState = { ...user, state: { a: [] } };
    const body = {
      seq,
      ts,
      room: "chat:1",
      id: "m1",
      from: { id: "ada" },
      event: "message",
      data: { "]}}}": "\u2028" },
    };
    expect(heard).toEqual([
      {
        version: 1,
        count: 1,
        by: "c1",
        ...broadcast(["c1"], "userJoined", { room, user, memberCount: 1, version: 1 }),
      },
      { version: 2, count: 1, by: "c1", ...broadcast([], "userUpdated", { room, user: withState, version: 2 }) },
      { seq, prev: 0, ts, epoch, ...broadcast([], "message", body) },
      {
        version: 3,
        count: 0,
        by: "c1",
        ...broadcast([], "userLeft", { room, user: withState, memberCount: 0, version: 3 }),
      },
    ]);
  });
});
