import { expect, it } from "vitest";
import { nodeRoom } from "../../src/webhooks/events.ts";
import { OpenConnections } from "../../src/webhooks/open-connections.ts";
import { RedisOutbox } from "../../src/webhooks/outbox.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithRedis } from "../support/redis.ts";
import { connected, redisWorld } from "./redis-world.ts";

const GONE = "node-1.life";
const MOST_EVENTS = 10_000;
/** More than one slice of those that are taken back at a time. */
const CONNECTIONS = 250;

describeWithRedis("the connections of a node", () => {
  it("[G4] are told as closed when it is gone, as far as its outbox has room, and the others once it has", async () => {
    const { keys, redis } = await redisWorld();
    const commands = await connected("commands");
    const outbox = new RedisOutbox({ commands, keys, wants: () => true, touched: () => undefined });
    const incarnation = { current: GONE };
    const connections = new OpenConnections({
      commands,
      keys,
      outbox,
      incarnation,
      dropped: expect.fail,
      failed: expect.fail,
    });
    const room = nodeRoom(GONE);
    for (let i = 0; i < CONNECTIONS; i++) {
      connections.opened({ connection: `c${i}`, user: { id: "ada" }, node: "node-1" });
    }
    await eventually(async () => expect(await redis.hlen(keys.connections(room))).toBe(CONNECTIONS));
    expect(await connections.tend(GONE)).toBe(false);
    expect(await redis.hlen(keys.connections(room))).toBe(CONNECTIONS);
    await redis.zadd(keys.gone(), Date.now(), GONE);

    const pipeline = redis.pipeline();
    for (let i = 0; i < MOST_EVENTS - CONNECTIONS - 10; i++) pipeline.xadd(keys.outbox(room), "*", "k", "opened");
    await pipeline.exec();
    expect(await connections.tend(GONE)).toBe(false);
    expect(await redis.xlen(keys.outbox(room))).toBe(MOST_EVENTS);
    expect(await redis.hlen(keys.connections(room))).toBe(CONNECTIONS - 10);

    await redis.xtrim(keys.outbox(room), "MAXLEN", 0);
    expect(await connections.tend(GONE)).toBe(true);
    expect(await redis.exists(keys.connections(room))).toBe(0);
    expect(await redis.xlen(keys.outbox(room))).toBe(CONNECTIONS - 10);
    expect(await redis.exists(keys.outboxDropped(room))).toBe(0);
  });
});
