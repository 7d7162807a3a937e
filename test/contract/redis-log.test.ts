import { beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../src/local/ports.ts";
import { RENEW_LIVES_EVERY_MS } from "../../src/log/limits.ts";
import { removalRest } from "../../src/log/removal.ts";
import type { Appended, Position } from "../../src/log/room-log.ts";
import { eventually } from "../support/eventually.ts";
import { type PrivateRedis, startRedis } from "../support/private-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { draft, join, RETENTION, seenAs, WIDE } from "./drafts.ts";
import { connected, type RedisWorld, redisWorld } from "./redis-world.ts";

const ROOM = "chat:1";

function positionOf({ epoch, seq, ts }: Position): Position {
  return { epoch, seq, ts };
}

async function appendMany({ log }: RedisWorld, count: number, name: string): Promise<Appended[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => log.append(ROOM, draft(`${name}${i}`))));
}

async function allKeys({ redis, prefix }: RedisWorld): Promise<string[]> {
  // A scan may give a key twice.
  const keys = new Set<string>();
  for await (const found of redis.scanStream({ match: `*${prefix}#*`, count: 1_000 }))
    for (const key of found as string[]) keys.add(key);
  return [...keys];
}

describeWithRedis("the log's keys in Redis", () => {
  it("[G3] what is read in the place of a removed message lives as long as the log, also where that is to live longer later", async () => {
    const { log, presence, redis, keys } = await redisWorld();
    const removed = async (room: string) => {
      const retention = { maxAgeMs: 60_000 };
      const { seq, ts } = await log.append(room, draft("1", { retention }));
      const tombstone = `{"seq":${seq},"ts":${ts},"removed":true}`;
      const removes = { seq, ts, tombstone };
      await log.append(room, { ...draft("2", { retention }), rest: removalRest(room, seq), removes });
      expect(await redis.pttl(keys.removed(room))).toBeGreaterThanOrEqual(await redis.pttl(keys.log(room)));
    };
    for (const [room, prolong] of [
      ["chat:sent", () => log.append("chat:sent", draft("3"))],
      ["chat:joined", () => presence.join(join("ada", "c1", { room: "chat:joined" }))],
    ] as const) {
      await removed(room);
      await prolong();
      const [logMs, removedMs] = [await redis.pttl(keys.log(room)), await redis.pttl(keys.removed(room))];
      expect(logMs).toBeGreaterThan(600_000);
      expect(removedMs).toBeGreaterThanOrEqual(logMs);
    }
  });

  it("every key of a room has the slot of its channel, and every step stays in it", async () => {
    // By itself it takes the port 10,000 above its own, which may be somebody's.
    const busPort = String(await freePort());
    const server = await startRedis({ settings: ["--cluster-enabled", "yes", "--cluster-port", busPort] });
    const world = await redisWorld({ url: server.url });
    const { keys, redis, log, presence } = world;
    await redis.call("CLUSTER", "ADDSLOTSRANGE", 0, 16_383);
    await eventually(async () => expect(await redis.cluster("INFO")).toContain("cluster_state:ok"));
    const slotsInUse = new Set<number>();
    const rooms = ["chat:1", "lobby", "é😀", "a#/#b#", "x".repeat(200)];
    for (const room of rooms) {
      const ear = await world.hear(room);
      await presence.join(join("ada", "c1", { room }));
      const { epoch, seq, ts } = await log.append(room, draft("1"));
      await log.append(room, draft("2", { known: { epoch, seq, ts } }));
      await presence.setState(join("ada", "c1", { room }), "{}");
      await presence.leave(join("ada", "c2", { room }));
      await presence.sweep(room, "another");
      await log.check([{ room, position: { epoch, seq, ts }, retention: RETENTION }]);
      expect((await log.readAfter(room, 0, WIDE, RETENTION)).entries).toHaveLength(2);
      expect((await presence.members(room, undefined, 10)).members).toHaveLength(1);
      await eventually(() => expect([ear.entries.length, ear.changes.length]).toEqual([2, 2]));
      const slot = await redis.cluster("KEYSLOT", keys.channel(room));
      slotsInUse.add(slot);
      for (const key of [keys.bans(room), keys.dedupe(room, "k", "{a}", "}{")]) {
        expect(await redis.cluster("KEYSLOT", key)).toBe(slot);
      }
    }
    // A script over many rooms is refused here: each of them is to be compared.
    const seen = rooms.map((room) => seenAs(undefined, room));
    await expect(redis.mget(rooms.map((room) => keys.meta(room)))).rejects.toThrow("CROSSSLOT");
    expect(await log.findChanged(seen)).toEqual(new Set(rooms));
    expect(await log.findChanged(seen)).toEqual(new Set(rooms));
    // Told once, not every second.
    expect(world.lookRefusals).toEqual([expect.objectContaining({ message: expect.stringMatching(/slot/i) })]);
    const all = await allKeys(world);
    expect(all.length).toBe(rooms.length * 7);
    for (const key of all) expect(slotsInUse).toContain(await redis.cluster("KEYSLOT", key));
    expect(slotsInUse.size).toBe(rooms.length);
  });

  it("reading a room that nobody used makes no key", async () => {
    const world = await redisWorld();
    await world.log.readAfter(ROOM, 0, WIDE, RETENTION);
    await world.log.readBefore(ROOM, undefined, WIDE, RETENTION);
    await world.presence.members(ROOM, undefined, 100);
    expect(await allKeys(world)).toEqual([]);
  });

  it("the lives of id, log and epoch are ordered, and renewed by append, check and join", async () => {
    const { log, presence, keys, redis } = await redisWorld({ dedupeMs: 5_000 });
    const lives = () => Promise.all([keys.log(ROOM), keys.meta(ROOM)].map((key) => redis.pttl(key)));
    const expectRenewed = async () => {
      const [ofLog = 0, ofMeta = 0] = await lives();
      expect(ofLog).toBeGreaterThanOrEqual(RETENTION.maxAgeMs);
      expect(ofMeta).toBeGreaterThan(ofLog + 5_000);
    };
    await presence.join(join("ada", "c1"));
    const { epoch, seq, ts } = await log.append(ROOM, draft("a"));
    await expectRenewed();
    expect(await redis.pttl(keys.dedupe(ROOM, "u", "ada", "a"))).toBeGreaterThan(0);
    expect(await redis.pttl(keys.dedupe(ROOM, "u", "ada", "a"))).toBeLessThanOrEqual(5_000);

    const age = async () => {
      await redis.hset(keys.meta(ROOM), "until", Date.now() + 1_000, "renewed", Date.now() - RENEW_LIVES_EVERY_MS);
      for (const key of [keys.log(ROOM), keys.meta(ROOM), keys.presence(ROOM), keys.members(ROOM)])
        await redis.pexpire(key, 1_000);
    };
    await age();
    await log.append(ROOM, draft("b"));
    await expectRenewed();
    await age();
    await log.check([{ room: ROOM, position: { epoch, seq, ts }, retention: RETENTION }]);
    await expectRenewed();
    await age();
    await presence.join(join("ada", "c2"));
    await expectRenewed();
    for (const key of [keys.presence(ROOM), keys.members(ROOM)]) {
      expect(await redis.pttl(key)).toBeGreaterThan(RETENTION.maxAgeMs);
    }
  });

  it("a room whose lives are to be renewed, whose head is gone or is no head counts as changed", async () => {
    const { log, keys, redis, lookRefusals } = await redisWorld();
    const rooms = ["chat:due", "chat:gone", "chat:broken", "chat:quiet"];
    const position = { epoch: "", seq: 0, ts: 0 };
    for (const room of rooms) await log.append(room, draft("a"));
    const heads = await log.check(rooms.map((room) => ({ room, position, retention: RETENTION })));
    const seen = rooms.map((room, index) => seenAs(heads[index], room));
    expect(await log.findChanged(seen)).toEqual(new Set());
    await redis.hset(keys.meta("chat:due"), "renewed", Date.now() - RENEW_LIVES_EVERY_MS);
    await redis.del(keys.meta("chat:gone"), keys.meta("chat:broken"));
    await redis.set(keys.meta("chat:broken"), "no hash");
    expect(await log.findChanged(seen)).toEqual(new Set(["chat:due", "chat:gone", "chat:broken"]));
    expect(lookRefusals).toEqual([]);
  });

  it("a log that is made anew after it ended has an end, whoever renewed the room meanwhile", async () => {
    const { log, presence, keys, redis } = await redisWorld();
    const renewals = [
      () => presence.join(join("ada", "c1")),
      () => log.check([{ room: ROOM, position: { epoch: "", seq: 0, ts: 0 }, retention: RETENTION }]),
    ];
    for (const [index, renew] of renewals.entries()) {
      await log.append(ROOM, draft(`before ${index}`));
      await redis.del(keys.log(ROOM));
      await redis.hdel(keys.meta(ROOM), "renewed");
      await renew();
      await log.append(ROOM, draft(`after ${index}`));
      expect(await redis.pttl(keys.log(ROOM))).toBeGreaterThanOrEqual(RETENTION.maxAgeMs);
    }
  });

  it("an idle room is not written to between two renewals of its lives, with a history or without", async () => {
    const own = await startRedis();
    const { log, presence, keys, redis } = await redisWorld({ url: own.url });
    await presence.join(join("ada", "c1"));
    const { epoch, seq, ts } = await log.append(ROOM, draft("a"));
    const compare = (maxAgeMs: number) =>
      log.check([{ room: ROOM, position: { epoch, seq, ts }, retention: { ...RETENTION, maxAgeMs } }]);
    const changes = async () => Number(/rdb_changes_since_last_save:(\d+)/.exec(await redis.info("persistence"))?.[1]);
    for (const maxAgeMs of [RETENTION.maxAgeMs, 1]) {
      await eventually(async () => {
        await compare(maxAgeMs);
        expect(await redis.xlen(keys.log(ROOM))).toBe(maxAgeMs === 1 ? 0 : 1);
      });
      const before = await changes();
      for (let time = 0; time < 3; time++) await compare(maxAgeMs);
      expect(await changes()).toBe(before);
    }
    await redis.hset(keys.meta(ROOM), "renewed", Date.now() - RENEW_LIVES_EVERY_MS);
    for (const key of [keys.meta(ROOM), keys.presence(ROOM), keys.members(ROOM)]) await redis.pexpire(key, 1_000);
    await compare(RETENTION.maxAgeMs);
    for (const key of [keys.meta(ROOM), keys.presence(ROOM), keys.members(ROOM)]) {
      expect(await redis.pttl(key)).toBeGreaterThan(RETENTION.maxAgeMs);
    }
  });

  it("[G9] what is past a bound is removed, not only hidden", async () => {
    const { log, keys, redis } = await redisWorld();
    for (let i = 0; i < 30; i++) await log.append(ROOM, draft(`a${i}`));
    await eventually(async () => {
      const now = await log.append(ROOM, draft(`b${Math.random()}`, { retention: { maxAgeMs: 40 } }));
      const [[first] = [""]] = await redis.xrange(keys.log(ROOM), "-", "+", "COUNT", 1);
      expect(Number.parseInt(first, 10)).toBeGreaterThan(30);
      expect(Number.parseInt(first, 10)).toBeLessThanOrEqual(now.seq);
    });
    for (let i = 0; i < 200; i++) await log.append(ROOM, draft(`c${i}`, { retention: { maxBytes: 2_000 } }));
    const size = (await log.append(ROOM, draft("c200", { data: '"x"' }))).seq;
    expect(size).toBeGreaterThan(200);
    expect(await redis.xlen(keys.log(ROOM))).toBeLessThan(25);
  });

  it("[G9] a check removes what is too old where nobody writes", async () => {
    const { log, keys, redis } = await redisWorld();
    for (let i = 0; i < 100; i++) await log.append(ROOM, draft(`a${i}`));
    const retention = { ...RETENTION, maxAgeMs: 1 };
    const position = { epoch: "", seq: 0, ts: 0 };
    await eventually(async () => {
      await log.check([{ room: ROOM, position, retention }]);
      expect(await redis.xlen(keys.log(ROOM))).toBe(0);
    });
    expect(await log.append(ROOM, draft("next"))).toMatchObject({ seq: 101, duplicate: false });
  });
});

describeWithRedis("the log in Redis when it lost something", () => {
  /** What a failover leaves behind: the room as it was before the last `count` messages. */
  async function loseLast({ keys, redis }: RedisWorld, count: number): Promise<void> {
    const stream = keys.log(ROOM);
    const kept = (await redis.xrange(stream, "-", "+")).slice(0, -count);
    // Written anew: a stream does not forget by itself which ids it once had.
    await redis.del(stream);
    for (const [id, fields] of kept) await redis.xadd(stream, id, ...fields);
    const [id, fields] = kept.at(-1) ?? ["0-0", []];
    await redis.hset(keys.meta(ROOM), { seq: Number.parseInt(id, 10), ts: fields[1] ?? "0", cum: fields[7] ?? "0" });
  }

  async function forked(world: RedisWorld, others: number): Promise<Appended> {
    const last = (await appendMany(world, 10, "a")).at(-1);
    if (last === undefined) throw new Error("nothing was stored");
    await loseLast(world, 5);
    await eventually(async () =>
      expect(Number((await world.redis.time())[0]) * 1_000).toBeGreaterThan(last.ts - 1_000),
    );
    // The clock must have moved on, or the new entry could not be told from the old one at its place.
    await eventually(() => expect(Date.now()).toBeGreaterThan(last.ts + 1));
    const grown = await appendMany(world, others, "b");
    for (const { epoch } of grown) expect(epoch).toBe(last.epoch);
    return last;
  }

  it.each([0, 3, 5, 6])(
    "[G5] a log that lost its end gets a new epoch, also when %i messages came before anybody looked",
    async (others) => {
      const byAppend = await redisWorld();
      const last = await forked(byAppend, others);
      const next = await byAppend.log.append(ROOM, draft("next", { known: positionOf(last) }));
      expect(next.epoch).not.toBe(last.epoch);
      expect(next.seq).toBe(5 + others + 1);
      expect((await byAppend.log.readAfter(ROOM, 0, WIDE, RETENTION)).entries).toHaveLength(5 + others + 1);

      const byCheck = await redisWorld();
      const position = positionOf(await forked(byCheck, others));
      const [head] = await byCheck.log.check([{ room: ROOM, position, retention: RETENTION }]);
      expect(head).toMatchObject({ epoch: expect.not.stringMatching(position.epoch), seq: 5 + others });
      const again = { room: ROOM, position: positionOf(head ?? position), retention: RETENTION };
      expect(await byCheck.log.check([again])).toEqual([head]);
    },
  );

  it("[G5] a room whose keys are gone starts a new epoch, and its old ids do not count", async () => {
    const world = await redisWorld();
    const [first] = await appendMany(world, 3, "a");
    await world.redis.del(world.keys.meta(ROOM), world.keys.log(ROOM));
    const next = await world.log.append(ROOM, draft("a0"));
    expect(next).toMatchObject({ seq: 1, duplicate: false, epoch: expect.not.stringMatching(first?.epoch ?? "") });
  });

  it.each(["append", "check", "join"] as const)(
    "a log without its epoch is dropped (%s), so that the new numbers are free",
    async (verb) => {
      const world = await redisWorld();
      await appendMany(world, 3, "a");
      await world.presence.join(join("old", "c0"));
      await world.redis.del(world.keys.meta(ROOM));
      const position = { epoch: "", seq: 0, ts: 0 };
      if (verb === "check") await world.log.check([{ room: ROOM, position, retention: RETENTION }]);
      if (verb === "join") {
        const joined = await world.presence.join(join("ada", "c1"));
        expect(joined.members.map(({ id }) => id)).toEqual(["old", "ada"]);
      }
      expect((await world.log.append(ROOM, draft("b"))).seq).toBe(1);
      expect((await world.log.readAfter(ROOM, 0, WIDE, RETENTION)).entries).toHaveLength(1);
    },
  );

  it("an epoch without its log goes on with the numbers", async () => {
    const world = await redisWorld();
    const last = (await appendMany(world, 3, "a")).at(-1);
    await world.redis.del(world.keys.log(ROOM));
    const page = await world.log.readAfter(ROOM, 0, WIDE, RETENTION);
    expect(page).toMatchObject({ entries: [], head: { seq: 3 }, more: false });
    const next = await world.log.append(ROOM, draft("b", last && { known: positionOf(last) }));
    expect(next).toMatchObject({ seq: 4, epoch: last?.epoch });
    expect((await world.log.readAfter(ROOM, 3, WIDE, RETENTION)).entries).toMatchObject([{ seq: 4, prev: last?.ts }]);
  });

  it("a page ends at a hole, and says that more follow", async () => {
    const world = await redisWorld();
    await appendMany(world, 9, "a");
    await world.redis.xdel(world.keys.log(ROOM), "4-0");
    const seqs = ({ entries, more }: { entries: readonly { seq: number }[]; more: boolean }) => [
      entries.map(({ seq }) => seq),
      more,
    ];
    expect(seqs(await world.log.readAfter(ROOM, 0, WIDE, RETENTION))).toEqual([[1, 2, 3], true]);
    expect(seqs(await world.log.readAfter(ROOM, 3, WIDE, RETENTION))).toEqual([[5, 6, 7, 8, 9], false]);
    expect(seqs(await world.log.readBefore(ROOM, undefined, WIDE, RETENTION))).toEqual([[5, 6, 7, 8, 9], true]);
    expect(seqs(await world.log.readBefore(ROOM, 5, WIDE, RETENTION))).toEqual([[1, 2, 3], false]);
  });
});

describeWithRedis("an append that fails half-way", () => {
  async function expectNoHole(world: RedisWorld, messages: number): Promise<void> {
    const { entries, head } = await world.log.readAfter(ROOM, 0, WIDE, RETENTION);
    expect(entries.map(({ seq }) => seq)).toEqual(Array.from({ length: messages }, (_, i) => i + 1));
    expect(head.seq).toBe(messages);
    for (const [i, entry] of entries.entries()) expect(entry.prev).toBe(entries[i - 1]?.ts ?? 0);
  }

  it("where Redis does not let it publish, is stored, and the same id finds it", async () => {
    const world = await redisWorld();
    const { log, redis, commands, keys, prefix } = world;
    const user = `u-${prefix}`;
    await appendMany(world, 2, "a");
    await redis.call("ACL", "SETUSER", user, "on", ">secret", "~*", "+@all", "resetchannels");
    await commands.call("AUTH", user, "secret");
    await expect(log.append(ROOM, draft("b"))).rejects.toThrow(/publish|permission/i);
    await redis.call("ACL", "SETUSER", user, "allchannels");
    expect(await log.append(ROOM, draft("b"))).toMatchObject({ seq: 3, duplicate: true });
    const ear = await world.hear(ROOM);
    await log.append(ROOM, draft("c"));
    await eventually(() => expect(ear.entries.map(({ seq }) => seq)).toEqual([4]));
    await expectNoHole(world, 4);
    expect(await redis.hget(keys.meta(ROOM), "seq")).toBe("4");
    await redis.call("ACL", "DELUSER", user);
  });

  it("where an id's key has another type, changes nothing", async () => {
    const world = await redisWorld();
    await appendMany(world, 2, "a");
    await world.redis.lpush(world.keys.dedupe(ROOM, "u", "ada", "b"), "x");
    await expect(world.log.append(ROOM, draft("b"))).rejects.toThrow("WRONGTYPE");
    await world.log.append(ROOM, draft("c"));
    await expectNoHole(world, 3);
  });

  it("where the log's key has another type, changes nothing", async () => {
    const { log, keys, redis } = await redisWorld();
    const { epoch } = await log.append(ROOM, draft("a"));
    await redis.rename(keys.log(ROOM), keys.bans(ROOM));
    await redis.set(keys.log(ROOM), "x");
    await expect(log.append(ROOM, draft("b"))).rejects.toThrow("WRONGTYPE");
    await redis.rename(keys.bans(ROOM), keys.log(ROOM));
    expect(await log.append(ROOM, draft("b"))).toMatchObject({ epoch, seq: 2, duplicate: false });
  });

  it("a log that is ahead of its head heals with the next append", async () => {
    const world = await redisWorld();
    await appendMany(world, 2, "a");
    const { ts } = (await world.log.readAfter(ROOM, 0, WIDE, RETENTION)).head;
    const body = `{"seq":3,"ts":${ts},${draft("lost").rest}`;
    await world.redis.xadd(world.keys.log(ROOM), "3-0", "t", ts, "p", ts, "b", body, "c", 1_000);
    expect((await world.log.readAfter(ROOM, 0, WIDE, RETENTION)).entries).toHaveLength(2);
    await expect(world.log.append(ROOM, draft("b"))).rejects.toMatchObject({ code: "unavailable" });
    expect(await world.log.append(ROOM, draft("b"))).toMatchObject({ seq: 4, duplicate: false });
    await expectNoHole(world, 4);
  });
});

describeWithRedis("a Redis that is away or forgets", () => {
  let server: PrivateRedis;
  beforeAll(async () => {
    server = await startRedis();
    return () => server.stop();
  });

  it("[G2] scripts that the server forgot are loaded again, and no append overtakes another", async () => {
    const world = await redisWorld({ url: server.url });
    await world.log.append(ROOM, draft("first"));
    const outcomes: Promise<Appended | undefined>[] = [];
    for (let i = 0; i < 300; i++) {
      if (i === 100 || i === 200) await world.redis.script("FLUSH");
      outcomes.push(world.log.append(ROOM, draft(`m${i}`)).catch(() => undefined));
      if (i % 10 === 0) await outcomes[i];
    }
    const stored = (await Promise.all(outcomes)).filter((appended) => appended !== undefined);
    expect(stored.length).toBeGreaterThan(100);
    expect(stored.length).toBeLessThan(300);
    expect(stored.map(({ seq }) => seq)).toEqual(stored.map((_, i) => i + 2));
    expect(await world.log.append(ROOM, draft("last"))).toMatchObject({ seq: stored.length + 2 });
    await world.redis.script("FLUSH");
    await expect(world.log.append(ROOM, draft("lost"))).rejects.toMatchObject({ code: "unavailable" });
    await eventually(async () =>
      expect((await world.log.readAfter(ROOM, 0, WIDE, RETENTION)).head.seq).toBeGreaterThan(0),
    );
  });

  it("[G5] what a hanging Redis does not answer fails with `unavailable` in about 2 s; what came later is never run", async () => {
    const world = await redisWorld({ url: server.url });
    await world.log.append(ROOM, draft("before"));
    await server.pause();
    const started = performance.now();
    const refused = expect(world.log.append(ROOM, draft("hanging"))).rejects.toMatchObject({ code: "unavailable" });
    const read = expect(world.log.readAfter(ROOM, 0, WIDE, RETENTION)).rejects.toMatchObject({ code: "unavailable" });
    await Promise.all([refused, read]);
    expect(performance.now() - started).toBeLessThan(2_600);
    await expect(world.log.append(ROOM, draft("later"))).rejects.toMatchObject({ code: "unavailable" });
    await expect(world.presence.noteRoom(ROOM)).rejects.toMatchObject({ code: "unavailable" });
    await server.resume();
    await eventually(() => world.log.append(ROOM, draft("after")), { withinMs: 8_000 });
    const { entries } = await eventually(() => world.log.readAfter(ROOM, 0, WIDE, RETENTION), { withinMs: 8_000 });
    expect(entries.map(({ body }) => (JSON.parse(String(body)) as { id: string }).id)).not.toContain("later");
  });

  it("[G5] a Redis that was killed and is back serves again by itself", async () => {
    const own = await startRedis({ aof: true });
    const world = await redisWorld({ url: own.url });
    const last = (await appendMany(world, 20, "a")).at(-1);
    await own.kill();
    await expect(world.log.append(ROOM, draft("b"))).rejects.toMatchObject({ code: "unavailable" });
    await own.start();
    const next = await eventually(() => world.log.append(ROOM, draft("b", last && { known: positionOf(last) })), {
      withinMs: 8_000,
    });
    expect(next.seq).toBe(21);
    expect(next.epoch).toBe(last?.epoch);
  });

  describe("that is full", () => {
    it("fails with `unavailable` and stores nothing", async () => {
      const redis = await connected("commands", server.url);
      const world = await redisWorld({ url: server.url });
      await world.log.append(ROOM, draft("a"));
      await redis.config("SET", "maxmemory", "1");
      const failure = await world.log.append(ROOM, draft("b")).catch((error: unknown) => error);
      await redis.config("SET", "maxmemory", "0");
      expect(failure).toMatchObject({ code: "unavailable", cause: { message: expect.stringMatching(/^OOM/) } });
      expect(JSON.stringify(failure)).not.toContain("evalsha");
      expect(await world.log.append(ROOM, draft("b"))).toMatchObject({ seq: 2, duplicate: false });
    });
  });
});
