import type { Redis } from "ioredis";
import { expect, it } from "vitest";
import { RedisLog } from "../../src/log/redis-log.ts";
import type { Keys } from "../../src/redis/keys.ts";
import type { OutboxEntry } from "../../src/webhooks/events.ts";
import { RedisOutbox, type Taken } from "../../src/webhooks/outbox.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithRedis } from "../support/redis.ts";
import { draft } from "./drafts.ts";
import { connected, redisWorld } from "./redis-world.ts";

const ROOM = "chat:1";
const SHARDS = 16;

interface Node {
  readonly outbox: RedisOutbox;
  readonly log: RedisLog;
  readonly touched: string[];
}

async function world() {
  const { keys, redis } = await redisWorld();
  return { keys, redis, node: () => nodeOn(keys) };
}

/** Another process: an outbox and a log over it. */
async function nodeOn(keys: Keys): Promise<Node> {
  const [commands, reads] = [await connected("commands"), await connected("reads")];
  const touched: string[] = [];
  const outbox = new RedisOutbox({
    commands,
    keys,
    wants: (room) => room !== "game:1",
    touched: (room) => touched.push(room),
  });
  return { outbox, log: new RedisLog({ commands, reads, keys, dedupeMs: 60_000, outbox }), touched };
}

function entriesOf(taken: Taken): readonly OutboxEntry[] {
  if (taken.kind === "busy") throw new Error("another node holds it");
  return taken.entries;
}

const unexpected = (error: unknown) => expect.fail(String(error));
const seqsOf = (taken: Taken) => entriesOf(taken).map(({ fields }) => fields.get("s"));

/** Rooms that are announced, by the moment (Unix milliseconds). */
async function announced(redis: Redis, keys: Keys): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (let shard = 0; shard < SHARDS; shard++) {
    for (const room of await redis.zrange(keys.outboxes(shard), 0, "-1")) {
      found.set(room, Number(await redis.zscore(keys.outboxes(shard), room)));
    }
  }
  return found;
}

/** As if so many milliseconds had passed since each announcement. */
async function age(redis: Redis, keys: Keys, ms: number): Promise<void> {
  for (let shard = 0; shard < SHARDS; shard++) {
    for (const room of await redis.zrange(keys.outboxes(shard), 0, "-1")) {
      await redis.zincrby(keys.outboxes(shard), -ms, room);
    }
  }
}

describeWithRedis("an outbox", () => {
  it("[G4] events stay until they are released, whoever took them before", async () => {
    const { keys, redis, node } = await world();
    const [dying, other] = [await node(), await node()];
    for (const id of ["a", "b", "a"]) await dying.log.append(ROOM, draft(id));
    expect(dying.touched).toEqual([ROOM, ROOM, ROOM]);
    const first = await dying.outbox.take(ROOM);
    expect(seqsOf(first)).toEqual(["1", "2"]);
    expect(entriesOf(first)[0]?.fields.get("b")).toContain('"id":"a"');
    expect(await other.outbox.take(ROOM)).toEqual({ kind: "busy" });

    // It died: what it held is free after a while.
    expect(await redis.pttl(keys.outboxHolder(ROOM))).toBeGreaterThan(0);
    await redis.del(keys.outboxHolder(ROOM));
    await dying.log.append(ROOM, draft("c"));
    const again = await other.outbox.take(ROOM);
    expect(entriesOf(again).slice(0, 2)).toEqual(entriesOf(first));
    // Or it was only slow: it removes no more than it took, and does not let others in.
    await dying.outbox.release(ROOM, entriesOf(first));
    expect(await dying.outbox.take(ROOM)).toEqual({ kind: "busy" });
    await other.outbox.release(ROOM, entriesOf(again));
    expect(seqsOf(await dying.outbox.take(ROOM))).toEqual([]);
    expect(await redis.exists(keys.outbox(ROOM))).toBe(0);
  });

  it("[G4] a room is announced before its event, found after a while, and not forgotten while it is in use", async () => {
    const { keys, redis, node } = await world();
    const [writer, finder] = [await node(), await node()];
    await writer.log.append(ROOM, draft("a"));
    expect([...(await announced(redis, keys)).keys()]).toEqual([ROOM]);
    expect(await finder.outbox.claimDue(unexpected)).toEqual([]);

    await age(redis, keys, 20_000);
    const [due, ...others] = await finder.outbox.claimDue(unexpected);
    expect(due?.room).toBe(ROOM);
    expect(others).toEqual([]);
    // Nobody else gets it, until this one must be thought dead, too.
    expect(await writer.outbox.claimDue(unexpected)).toEqual([]);
    if (due === undefined) throw new Error("it is due");
    // Announced between the claim and the forgetting: by another node, since the writer relies on what it said before.
    finder.outbox.open(ROOM, "messages");
    await eventually(async () => {
      expect((await announced(redis, keys)).get(ROOM)).not.toBe(Number(due.claim));
    });
    await finder.outbox.retire(due);
    expect((await announced(redis, keys)).size).toBe(1);

    await age(redis, keys, 20_000);
    const [later] = await writer.outbox.claimDue(unexpected);
    if (later === undefined) throw new Error("it is due");
    await writer.outbox.retire(later);
    expect((await announced(redis, keys)).size).toBe(0);
  });

  it("[G9] what finds the outbox full is counted, and the message is stored all the same", async () => {
    const { keys, redis, node } = await world();
    const { outbox, log } = await node();
    const pipeline = redis.pipeline();
    for (let i = 0; i < 9_999; i++) pipeline.xadd(keys.outbox(ROOM), "*", "k", "message");
    await pipeline.exec();
    for (const id of ["a", "b", "c"]) await log.append(ROOM, draft(id));
    expect(await redis.xlen(keys.outbox(ROOM))).toBe(10_000);
    const taken = await outbox.take(ROOM);
    expect(taken).toMatchObject({ dropped: 2, more: true });
    await outbox.release(ROOM, entriesOf(taken));
    expect(await outbox.take(ROOM)).toMatchObject({ dropped: 0 });
    await log.append(ROOM, draft("d"));
    expect(await redis.xlen(keys.outbox(ROOM))).toBe(9_901);
  });

  it("[G4] holds one event for each message that is stored of those of one turn, in their order", async () => {
    const { node } = await world();
    const { outbox, log, touched } = await node();
    await Promise.all(["a", "b", "a", "c"].map((id) => log.append(ROOM, draft(id))));
    expect(touched).toEqual([ROOM]);
    const entries = entriesOf(await outbox.take(ROOM));
    expect(entries.map(({ fields }) => fields.get("s"))).toEqual(["1", "2", "3"]);
    const ids = entries.map(({ fields }) => (JSON.parse(fields.get("b") ?? "") as { id: string }).id);
    expect(ids).toEqual(["a", "b", "c"]);
  });

  it("[G9] is not there where nobody wants the room's events", async () => {
    const { keys, redis, node } = await world();
    const { log, touched } = await node();
    await log.append("game:1", draft("a"));
    expect(touched).toEqual([]);
    expect(await redis.exists(keys.outbox("game:1"))).toBe(0);
    expect((await announced(redis, keys)).size).toBe(0);
  });
});
