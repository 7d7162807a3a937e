import { beforeAll, expect, it } from "vitest";
import { CALLS } from "../../src/calls.ts";
import { apiOf } from "../support/api.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithRedis } from "../support/redis.ts";
import { startRedisProxy } from "../support/redis-proxy.ts";
import { redisUrl } from "../support/run-redis.ts";
import { connectWitness } from "../support/witness.ts";

const claimsOf = (sub: string) => ({ sub, rooms: { "*": ["*"] } });

describeWithRedis("/v1, one message taken back", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster();
    return () => cluster.stop();
  });
  const connect = (sub: string, node: number) => connectWitness(cluster.urls[node] ?? "", { claims: claimsOf(sub) });
  const send = async (room: string, data: unknown, id?: string) =>
    (await apiOf(cluster.urls[2])("POST", `/rooms/${room}/messages`, { body: { data, ...(id && { id }) } })).body;

  it("[G3] members on every node are told once, in its place; pages and `since` have the tombstone and no gap", async () => {
    const room = "back:1";
    const [ada, bob] = [await connect("ada", 0), await connect("bob", 1)];
    const { position } = await ada.ok("joinRoom", { room });
    await bob.ok("joinRoom", { room });
    const secret = await send(room, "secret", "s1");
    await send(room, "two");
    const api = apiOf(cluster.urls[2]);
    for (let again = 0; again < 2; again++) {
      expect(await api("DELETE", `/rooms/${room}/messages/${secret.seq}`)).toMatchObject({ status: 200, body: {} });
    }
    const last = await send(room, "three");
    expect(last.seq).toBe(secret.seq + 3);
    for (const witness of [ada, bob]) {
      await eventually(() => expect(witness.of("message", room)).toHaveLength(3));
      const told = witness.of("messageRemoved", room);
      expect(told).toEqual([{ room, seq: secret.seq, at: { seq: secret.seq + 2, ts: expect.any(Number) } }]);
      const stream = witness.seen.filter(({ name }) => name === "message" || name === "messageRemoved");
      expect(stream.map(({ name }) => name)).toEqual(["message", "message", "messageRemoved", "message"]);
    }
    const { messages } = CALLS.getHistory.answer.parse((await api("GET", `/rooms/${room}/messages`)).body);
    expect(messages.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect(messages[0]).toMatchObject({ id: "s1", data: null, removed: true, from: { id: "server" } });
    expect(messages[2]).toMatchObject({ removes: secret.seq, event: "messageRemoved" });
    expect(JSON.stringify(messages)).not.toContain("secret");
    const eve = await connect("eve", 2);
    const since = await eve.ok("joinRoom", { room, since: position });
    expect(since).toMatchObject({ recovered: true, messages });
    const anew = await eve.ok("joinRoom", { room, history: 10 });
    expect(anew.messages).toEqual(messages);
    const page = await ada.ok("getHistory", { room, after: 0 });
    expect(page.messages).toEqual(messages);
    expect(await send(room, "other data", "s1")).toMatchObject({ seq: secret.seq, duplicate: true });
  });

  it("there is nothing to take back where no message stands, or its removal; wrong names and numbers are told", async () => {
    const api = apiOf(cluster.urls[1]);
    const room = "back:2";
    const { seq } = await send(room, "one");
    await api("DELETE", `/rooms/${room}/messages/${seq}`);
    for (const path of [`${room}/messages/${seq + 1}`, `${room}/messages/99`, "back:none/messages/1"]) {
      expect(await api("DELETE", `/rooms/${path}`)).toMatchObject({ status: 404, body: { code: "not_found" } });
    }
    for (const [path, field] of [
      [`${room}/messages/0`, "seq"],
      [`${room}/messages/-1`, "seq"],
      [`${room}/messages/x`, "seq"],
      ["_control/messages/1", "room"],
    ]) {
      const { status, body } = await api("DELETE", `/rooms/${path}`);
      expect([path, status, body.code]).toEqual([path, 400, "bad_request"]);
      expect(body.detail).toContain(field);
    }
  });

  it("[G2] a user's message that only looks like a removal is a message", async () => {
    const room = "back:3";
    const ada = await connect("ada", 0);
    await ada.ok("joinRoom", { room });
    await ada.ok("sendMessage", { room, event: "messageRemoved", data: { removes: 1, '"removes":': 1 } });
    await eventually(() => expect(ada.of("message", room)).toHaveLength(1));
    expect(ada.of("messageRemoved", room)).toEqual([]);
    expect(ada.of("message", room)[0]?.removes).toBeUndefined();
  });
});

describeWithRedis("/v1, one message taken back while a node is cut off", () => {
  it("[G5] who did not hear Redis meanwhile is told of it in its place once it hears again", async () => {
    const proxy = await startRedisProxy(Number(new URL(redisUrl()).port));
    const cluster = await startCluster({
      nodes: 2,
      envOf: (node) => ({ REDIS_URL: node === 0 ? proxy.url : redisUrl() }),
    });
    const room = "back:1";
    const ada = await connectWitness(cluster.urls[0] ?? "", { claims: claimsOf("ada") });
    await ada.ok("joinRoom", { room });
    const api = apiOf(cluster.urls[1]);
    const { seq } = (await api("POST", `/rooms/${room}/messages`, { body: { data: "secret" } })).body;
    await eventually(() => expect(ada.of("message", room)).toHaveLength(1));
    proxy.swallow("subscriber");
    await api("DELETE", `/rooms/${room}/messages/${seq}`);
    await api("POST", `/rooms/${room}/messages`, { body: { data: "after" } });
    expect(ada.of("messageRemoved", room)).toEqual([]);
    await eventually(() => expect(ada.of("message", room)).toHaveLength(2), { withinMs: 15_000 });
    const stream = ada.seen.filter(({ name }) => name.startsWith("message")).map(({ name }) => name);
    expect(stream).toEqual(["message", "messageRemoved", "message"]);
    expect(ada.of("resync", room)).toEqual([]);
  });
});
