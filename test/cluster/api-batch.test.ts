import { expect, it } from "vitest";
import { CALLS } from "../../src/calls.ts";
import type { BatchResult } from "../../src/payloads.ts";
import { apiOf } from "../support/api.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/private-redis.ts";
import { rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";

const batchOf = (count: number, rooms: number) => ({
  messages: Array.from({ length: count }, (_, i) => ({ room: `b:${i % rooms}`, id: `m${i}`, data: i })),
});

describeWithRedis("/v1, batches", () => {
  it("[G5] while Redis is away each message is told as unknown; sent again, all are stored once, in order", async () => {
    const redis = await startRedis();
    const cluster = await startCluster({ env: { REDIS_URL: redis.url } });
    const api = apiOf(cluster.urls[2]);
    const body = batchOf(100, 10);
    expect((await api("POST", "/messages", { body: batchOf(10, 10) })).body.results[0]).toMatchObject({ seq: 1 });
    await redis.pause();
    const away = await api("POST", "/messages", { body });
    expect(away.status).toBe(200);
    const results: BatchResult[] = CALLS.sendMessages.answer.parse(away.body).results;
    expect(results.map((result) => !result.ok && [result.id, result.error.code, result.error.retryable])).toEqual(
      body.messages.map(({ id }) => [id, "unavailable", true]),
    );
    const single = await api("POST", "/rooms/b:0/messages", { body: { id: "m0", data: 0 } });
    expect(single).toMatchObject({ status: 503, body: { code: "unavailable" } });
    await redis.resume();
    await eventually(
      async () => {
        const again: BatchResult[] = (await api("POST", "/messages", { body })).body.results;
        expect(again.every((result) => result.ok)).toBe(true);
      },
      { withinMs: 15_000 },
    );
    for (let room = 0; room < 10; room++) {
      const { messages } = (await api("GET", `/rooms/b:${room}/messages`)).body;
      expect(messages.map(({ data }: { data: number }) => data)).toEqual(
        Array.from({ length: 10 }, (_, i) => i * 10 + room),
      );
    }
  });

  it("[G7] messages that break on our side are internal, and logged under the id that the answer tells", async () => {
    const redis = await startRedis();
    const cluster = await startCluster({ nodes: 1, env: { REDIS_URL: redis.url } });
    await rawRedis(redis.url).set(`{${cluster.prefix}#/#b:1#}:meta`, "no hash");
    const api = apiOf(cluster.urls[0]);
    const headers = { "x-request-id": "caller-7" };
    const { status, body, headers: told } = await api("POST", "/messages", { body: batchOf(4, 2), headers });
    expect(status).toBe(200);
    const codes = body.results.map(({ ok, error }: { ok: boolean; error?: { code: string } }) =>
      ok ? "ok" : error?.code,
    );
    expect(codes).toEqual(["ok", "internal", "ok", "internal"]);
    expect(told.get("x-request-id")).toBe("caller-7");
    await eventually(() => {
      const lines = cluster.logs(0).filter((line) => line.includes("WRONGTYPE"));
      expect(lines).toHaveLength(2);
      for (const line of lines) {
        expect(JSON.parse(line)).toMatchObject({ request: "sendMessages", requestId: "caller-7" });
      }
    });
  });

  it("[G9] a key that asks too much of a node is told when to come again; a batch counts as its messages", async () => {
    const cluster = await startCluster({
      nodes: 2,
      env: { RATE_API_PER_SECOND: "1", RATE_API_BURST: "1000", MAX_BATCH_BYTES: "100000" },
    });
    const [api, other] = [apiOf(cluster.urls[0]), apiOf(cluster.urls[1])];
    const first = await api("POST", "/messages", { body: batchOf(900, 3) });
    expect(first.status).toBe(200);
    expect(first.headers.get("ratelimit-policy")).toBe('"api";q=1000;w=1000');
    expect(first.headers.get("ratelimit")).toMatch(/^"api";r=\d{2,3};t=\d{3}$/);
    const second = await api("POST", "/messages", { body: { messages: batchOf(1_000, 3).messages.slice(700) } });
    expect(second).toMatchObject({ status: 429, body: { code: "rate_limited", retryAfterMs: expect.any(Number) } });
    expect(Number(second.headers.get("retry-after"))).toBeGreaterThan(60);
    expect(second.headers.get("ratelimit")).toMatch(/^"api";r=\d{2,3};t=\d{3}$/);
    const { position } = (await other("GET", "/rooms/b:0/messages?limit=1")).body;
    expect(position.seq).toBe(300);
    const large = {
      messages: [
        { room: "b:0", data: "x".repeat(60_000) },
        { room: "b:1", data: "x".repeat(60_000) },
      ],
    };
    expect(await other("POST", "/messages", { body: large })).toMatchObject({
      status: 413,
      body: { code: "payload_too_large" },
    });
    expect((await other("GET", "/rooms/b:0/messages?limit=1")).body.position.seq).toBe(300);
  });
});
