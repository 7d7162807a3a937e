import { beforeAll, expect, it } from "vitest";
import { adapterPublisher } from "../../src/adapter/redis-publisher.ts";
import { decode } from "../../src/log/envelope.ts";
import { RedisLog } from "../../src/log/redis-log.ts";
import type { Appended } from "../../src/log/room-log.ts";
import type { OutboxEntry } from "../../src/webhooks/events.ts";
import { RedisOutbox } from "../../src/webhooks/outbox.ts";
import { eventually } from "../support/eventually.ts";
import { type PrivateRedis, startRedis } from "../support/private-redis.ts";
import { publishedOn } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { draft, join, RETENTION, WIDE } from "./drafts.ts";
import { type RedisWorld, redisWorld } from "./redis-world.ts";

const ROOM = "chat:1";

function ids(count: number, name = "m"): string[] {
  return Array.from({ length: count }, (_, i) => `${name}${i}`);
}

/** The place, or why there is none. */
async function outcomes(appends: readonly Promise<Appended>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(appends);
  return settled.map((each) => (each.status === "fulfilled" ? each.value.seq : (each.reason as Error).message));
}

async function takeAll(outbox: RedisOutbox): Promise<readonly OutboxEntry[]> {
  const taken = await outbox.take(ROOM);
  if (taken.kind === "busy") throw new Error("another node holds it");
  return taken.entries;
}

describeWithRedis("how many calls of the script appends take", () => {
  let server: PrivateRedis;
  beforeAll(async () => {
    server = await startRedis();
    return () => server.stop();
  });

  async function calls(redis: RedisWorld["redis"], act: () => Promise<unknown>): Promise<number> {
    await redis.config("RESETSTAT");
    await act();
    return Number(/^cmdstat_evalsha:calls=(\d+)/m.exec(await redis.info("commandstats"))?.[1] ?? 0);
  }

  it("of one turn to one room take one, up to 32 messages or 256 KiB; to others, one each", async () => {
    const { log, redis } = await redisWorld({ url: server.url });
    const appendAll = (name: string, count: number, rooms = [ROOM], data = "null") =>
      calls(redis, () =>
        Promise.all(ids(count, name).map((id, i) => log.append(rooms[i % rooms.length] ?? "", draft(id, { data })))),
      );
    expect(await appendAll("a", 1)).toBe(1);
    expect(await appendAll("b", 10)).toBe(1);
    expect(await appendAll("c", 32)).toBe(1);
    expect(await appendAll("d", 33)).toBe(2);
    expect(await appendAll("e", 9, ["chat:1", "chat:2", "chat:3"])).toBe(3);
    const large = `"${"é".repeat(30 * 1024)}"`;
    expect(await appendAll("f", 8, [ROOM], large)).toBe(2);
    expect(await appendAll("g", 2, [ROOM], `"${"x".repeat(300 * 1024)}"`)).toBe(2);
    expect((await log.readAfter(ROOM, 0, WIDE, RETENTION)).head.seq).toBe(1 + 10 + 32 + 33 + 3 + 8 + 2);
  });

  it("leave at the end of the turn, in one write with what else was called in it", async () => {
    const { log, presence, commands } = await redisWorld({ url: server.url });
    const before = commands.stream.bytesWritten;
    const called = [presence.join(join("ada", "c1")), log.append(ROOM, draft("a")), log.append(ROOM, draft("b"))];
    const atTheEnd = await new Promise((resolve) =>
      setImmediate(() => resolve([commands.stream.writableCorked, commands.stream.bytesWritten - before])),
    );
    await Promise.all(called);
    expect(atTheEnd).toEqual([0, commands.stream.bytesWritten - before]);
  });
});

describeWithRedis("appends beside other scripts of the same connection", () => {
  it("[G2] keep the order of the calls", async () => {
    const { log, presence, keys } = await redisWorld();
    const published = await publishedOn([keys.channel(ROOM)]);
    const seat = join("ada", "c1");
    await Promise.all([
      log.append(ROOM, draft("a")),
      log.append(ROOM, draft("b")),
      presence.join(seat),
      log.append(ROOM, draft("c")),
      presence.leave(seat),
      log.append(ROOM, draft("d")),
      log.purge(ROOM),
      log.append(ROOM, draft("e")),
    ]);
    await eventually(() => expect(published).toHaveLength(7));
    const heard = published.map((text) => decode(Buffer.from(text)));
    expect(heard.map((each) => (each.kind === "entry" ? each.entry.seq : each.kind))).toEqual([
      1,
      2,
      "presence",
      3,
      "presence",
      4,
      5,
    ]);
    expect((await log.readAfter(ROOM, 0, WIDE, RETENTION)).entries.map(({ seq }) => seq)).toEqual([5]);
  });
});

describeWithRedis("appends beside what the stock adapter publishes", () => {
  it("[G2] are published in the order of the calls", async () => {
    const { log, keys, commands } = await redisWorld();
    const published = await publishedOn([keys.channel(ROOM)]);
    const publisher = adapterPublisher(commands);
    await Promise.all([
      log.append(ROOM, draft("a")),
      publisher.spublish(keys.channel(ROOM), "signal"),
      log.append(ROOM, draft("b")),
    ]);
    await eventually(() => expect(published).toHaveLength(3));
    const heard = published.map((text) => decode(Buffer.from(text)));
    expect(heard.map((each) => (each.kind === "entry" ? each.entry.seq : each.kind))).toEqual([1, "stock", 2]);
  });
});

describeWithRedis("appends of one turn that fail", () => {
  it("by one id's key fail for that message alone", async () => {
    const { log, keys, redis, hear } = await redisWorld();
    const ear = await hear(ROOM);
    await redis.lpush(keys.dedupe(ROOM, "u", "ada", "m1"), "x");
    const seqs = await outcomes(ids(3).map((id) => log.append(ROOM, draft(id))));
    expect(seqs).toEqual([1, expect.stringMatching(/^WRONGTYPE/), 2]);
    const { entries, head } = await log.readAfter(ROOM, 0, WIDE, RETENTION);
    expect(head.seq).toBe(2);
    await eventually(() => expect(ear.entries).toEqual(entries));
  });

  it("in the middle: what was stored is whole and published, and nothing behind it is stored", async () => {
    const { keys, redis, commands, log: reader } = await redisWorld();
    const outbox = new RedisOutbox({ commands, keys, wants: () => true, touched: () => undefined });
    const log = new RedisLog({ commands, reads: commands, keys, dedupeMs: 60_000, outbox });
    const first = await log.append(ROOM, draft("first"));
    await outbox.release(ROOM, await takeAll(outbox));
    // Past 2^53 numbers have no next one: the third message finds the place taken.
    await redis.hset(keys.meta(ROOM), "seq", String(2 ** 53 - 2));
    const published = await publishedOn([keys.channel(ROOM)]);
    const taken = /^ERR The ID specified in XADD is equal or smaller/;
    expect(await outcomes(["a", "b", "c", "first", "d"].map((id) => log.append(ROOM, draft(id))))).toEqual([
      2 ** 53 - 1,
      2 ** 53,
      expect.stringMatching(taken),
      expect.stringMatching(taken),
      expect.stringMatching(taken),
    ]);
    const { entries, head } = await reader.readAfter(ROOM, 1, WIDE, RETENTION);
    expect(entries.map(({ seq }) => seq)).toEqual([2 ** 53 - 1, 2 ** 53]);
    expect(entries[0]?.prev).toBe(first.ts);
    expect(entries[1]?.prev).toBe(entries[0]?.ts);
    expect(head).toEqual({ epoch: first.epoch, seq: 2 ** 53, ts: entries[1]?.ts });
    const bodies = entries.map(({ body }) => String(body));
    await eventually(() => expect(published).toHaveLength(2));
    for (const [i, body] of bodies.entries()) expect(published[i]).toContain(body);
    expect((await takeAll(outbox)).map(({ fields }) => fields.get("b"))).toEqual(bodies);
    const all = await redis.xrange(keys.log(ROOM), "-", "+");
    expect(await redis.hget(keys.meta(ROOM), "cum")).toBe(all.at(-1)?.[1][7]);
    expect(await log.append(ROOM, draft("b"))).toMatchObject({ seq: 2 ** 53, duplicate: true });
    expect(await redis.exists(keys.dedupe(ROOM, "u", "ada", "c"), keys.dedupe(ROOM, "u", "ada", "d"))).toBe(0);
  });

  it("at the first, where the log is ahead of its head, heal it and are all to be sent again", async () => {
    const { log, keys, redis } = await redisWorld();
    const { ts } = await log.append(ROOM, draft("a"));
    const body = `{"seq":2,"ts":${ts},${draft("lost").rest}`;
    await redis.xadd(keys.log(ROOM), "2-0", "t", ts, "p", ts, "b", body, "c", 1_000);
    for (const each of await Promise.allSettled(ids(3).map((id) => log.append(ROOM, draft(id))))) {
      expect(each).toMatchObject({
        reason: { code: "unavailable", cause: { message: expect.stringMatching(/^TRYAGAIN/) } },
      });
    }
    expect(await outcomes(ids(3).map((id) => log.append(ROOM, draft(id))))).toEqual([3, 4, 5]);
    expect((await log.readAfter(ROOM, 0, WIDE, RETENTION)).entries.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
  });

  it("[G5] with the whole call are each `unavailable`: the scripts are forgotten, Redis is full, the connection is lost", async () => {
    const server = await startRedis();
    const { log, redis, commands } = await redisWorld({ url: server.url });
    const expectUnavailable = async () => {
      for (const each of await Promise.allSettled(ids(3).map((id) => log.append(ROOM, draft(id))))) {
        expect(each).toMatchObject({ status: "rejected", reason: { code: "unavailable" } });
      }
    };
    await log.append(ROOM, draft("first"));
    await redis.script("FLUSH");
    await expectUnavailable();
    await redis.config("SET", "maxmemory", "1");
    await eventually(async () => {
      const [failure] = await Promise.allSettled([log.append(ROOM, draft("a"))]);
      expect(failure).toMatchObject({ reason: { cause: { message: expect.stringMatching(/^OOM/) } } });
    });
    await expectUnavailable();
    await redis.config("SET", "maxmemory", "0");
    expect(await outcomes(ids(3).map((id) => log.append(ROOM, draft(id))))).toEqual([2, 3, 4]);

    const waiting = ["x", "y"].map((id) => log.append(ROOM, draft(id)));
    commands.disconnect();
    for (const each of await Promise.allSettled(waiting)) {
      expect(each).toMatchObject({ status: "rejected", reason: { code: "unavailable" } });
    }
  });

  it("[G5] where there is no connection do not wait for the end of the turn", async () => {
    const { log, commands } = await redisWorld();
    const closed = new Promise((resolve) => commands.once("close", resolve));
    commands.disconnect();
    await closed;
    let isOver = false;
    const turn = new Promise<void>((resolve) =>
      setImmediate(() => {
        isOver = true;
        resolve();
      }),
    );
    await expect(log.append(ROOM, draft("a"))).rejects.toMatchObject({ code: "unavailable" });
    expect(isOver).toBe(false);
    await turn;
  });
});
