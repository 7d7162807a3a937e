import { expect, it, vi } from "vitest";
import { WEBHOOK_EVENTS } from "../../src/webhooks/events.ts";
import { type Api, apiOf } from "../support/api.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { metric } from "../support/metric.ts";
import { startRedis } from "../support/private-redis.ts";
import { rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { startReceiver, webhookSecret, webhooksFile } from "../support/webhook-receiver.ts";
import { connectWitness } from "../support/witness.ts";

/** Longer than it takes the others to look for what a dead node left, and then to make its deliveries. */
const FOUND = { withinMs: 60_000 };
const TIMEOUT_MS = 120_000;

describeWithRedis("webhooks", () => {
  vi.setConfig({ testTimeout: TIMEOUT_MS });

  it.concurrent("[G4] each event is told with its fields, signed, to the endpoints that want it", async () => {
    const [all, some] = [await startReceiver(), await startReceiver()];
    const path = await webhooksFile({
      all: { url: all.url, secrets: [webhookSecret(), all.secret], events: WEBHOOK_EVENTS },
      some: { url: some.url, secrets: [some.secret], events: ["message.sent", "member.left"], roomTypes: ["chat"] },
    });
    const cluster = await startCluster({ nodes: 2, env: { WEBHOOKS: path, GRACE_SECONDS: "0" } });
    const ada = await connectWitness(cluster.urls[0] ?? "", { claims: { sub: "ada", name: "Ada" } });
    const bob = await connectWitness(cluster.urls[1] ?? "", { claims: { sub: "bob" } });
    await ada.ok("joinRoom", { room: "chat:1", state: { mood: "fine" } });
    await bob.ok("joinRoom", { room: "chat:1" });
    const { position } = await bob.ok("joinRoom", { room: "game:1" });
    const data = { big: "☃", list: [1, null] };
    const sent = await ada.ok("sendMessage", { room: "chat:1", data, id: "one" });
    await ada.ok("sendMessage", { room: "chat:1", data, id: "one" });
    await bob.ok("sendMessage", { room: "game:1", data: 1, event: "move" });
    await eventually(() => expect(all.of("message.sent")).toHaveLength(2));
    await ada.ok("leaveRoom", { room: "chat:1" });
    const connection = ada.socket.id;
    ada.socket.disconnect();
    bob.socket.disconnect();
    await eventually(() => expect(all.of("room.vacated")).toHaveLength(2));
    await eventually(() => expect(all.of("connection.closed")).toHaveLength(2));

    expect(all.forged).toEqual([]);
    expect(some.forged).toEqual([]);
    expect(all.of("message.sent").map((event) => event.data)).toContainEqual({
      room: "chat:1",
      epoch: expect.any(String),
      message: {
        room: "chat:1",
        seq: sent.seq,
        ts: sent.ts,
        id: "one",
        from: { id: "ada", name: "Ada" },
        event: "message",
        data,
      },
    });
    expect(all.of("message.sent").find((event) => event.data.room === "game:1")?.data.epoch).toBe(position.epoch);
    const ofChat = (type: string) => all.of(type).filter((event) => event.data.room === "chat:1");
    const adaThere = { id: "ada", name: "Ada", state: { mood: "fine" } };
    expect(ofChat("member.joined").map((event) => event.data)).toEqual([
      { room: "chat:1", user: adaThere, memberCount: 1, version: 1 },
      { room: "chat:1", user: { id: "bob" }, memberCount: 2, version: 2 },
    ]);
    expect(ofChat("member.left").map((event) => event.data)).toEqual([
      { room: "chat:1", user: adaThere, memberCount: 1, version: 3 },
      { room: "chat:1", user: { id: "bob" }, memberCount: 0, version: 4 },
    ]);
    expect(ofChat("room.occupied").map((event) => event.data)).toEqual([{ room: "chat:1", version: 1 }]);
    expect(ofChat("room.vacated").map((event) => event.data)).toEqual([{ room: "chat:1", version: 4 }]);
    const about = { connection, user: { id: "ada", name: "Ada" }, node: "node-1" };
    expect(all.of("connection.opened").map((event) => event.data)).toContainEqual(about);
    expect(all.of("connection.closed").map((event) => event.data)).toContainEqual({
      ...about,
      reason: "client namespace disconnect",
    });
    const ids = all.events.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { timestamp } of all.events) expect(Math.abs(Date.parse(timestamp) - Date.now())).toBeLessThan(60_000);

    await eventually(() => expect(some.events).toHaveLength(3));
    expect(new Set(some.events.map(({ type, data: { room } }) => `${type} ${room}`))).toEqual(
      new Set(["message.sent chat:1", "member.left chat:1"]),
    );
  });

  it.concurrent("[G4] every message arrives though the delivering node and the receiver die for a while", async () => {
    const receiver = await startReceiver();
    const path = await webhooksFile({
      all: { url: receiver.url, secrets: [receiver.secret], events: ["message.sent"], maxBatchEvents: 5 },
    });
    const cluster = await startCluster({ env: { WEBHOOKS: path, LEASE_SECONDS: "2" } });
    const apis = cluster.urls.map(apiOf);
    const acked: string[] = [];
    let count = 0;
    const send = async (node: number, room = `chat:${count % 7}`) => {
      const id = `m${count++}`;
      const { status } = await (apis[node % 3] as Api)("POST", `/rooms/${room}/messages`, {
        body: { id, data: count },
      });
      if (status === 201) acked.push(id);
    };
    for (let i = 0; i < 30; i++) await send(i);
    await eventually(() => expect(receiver.events.length).toBeGreaterThan(0));

    receiver.answer = "hang";
    for (let i = 0; i < 60; i++) await send(i);
    // Two for each node: whichever dies now is delivering.
    await eventually(() => expect(receiver.held).toBe(6), { withinMs: 20_000 });
    await cluster.kill(0);
    for (let i = 0; i < 10; i++) await send(1 + (i % 2));
    await receiver.stop();
    for (let i = 0; i < 10; i++) await send(1 + (i % 2));
    // What it stored a moment ago is in no queue yet, and nobody else has to do with that room.
    await send(1, "chat:alone");
    await cluster.kill(1);
    receiver.answer = 200;
    await receiver.start();
    await cluster.restart(0);

    await eventually(() => {
      const told = new Set(receiver.of("message.sent").map((event) => event.data.message.id));
      expect(acked.filter((id) => !told.has(id))).toEqual([]);
    }, FOUND);
    expect(acked.length).toBe(111);
    expect(receiver.forged).toEqual([]);
    const ids = new Map<string, string>();
    for (const event of receiver.events) {
      const message = JSON.stringify(event.data);
      expect(ids.get(event.id) ?? message).toBe(message);
      ids.set(event.id, message);
    }
    expect(ids.size).toBe(111);
  });

  it.concurrent("[G4] members and connections of a killed node are told as left and closed, once", async () => {
    const receiver = await startReceiver();
    const path = await webhooksFile({ all: { url: receiver.url, secrets: [receiver.secret], events: WEBHOOK_EVENTS } });
    const cluster = await startCluster({ nodes: 2, env: { WEBHOOKS: path, LEASE_SECONDS: "2" } });
    const lost = await connectWitness(cluster.urls[0] ?? "", { claims: { sub: "lost" }, reconnection: false });
    const other = await connectWitness(cluster.urls[1] ?? "", { claims: { sub: "other" } });
    await lost.ok("joinRoom", { room: "chat:1" });
    await lost.ok("joinRoom", { room: "chat:2" });
    await other.ok("joinRoom", { room: "chat:2" });
    const connection = lost.socket.id;
    await eventually(() => expect(receiver.of("connection.opened")).toHaveLength(2));
    await eventually(() => expect(receiver.of("member.joined")).toHaveLength(3));
    await cluster.kill(0);

    await eventually(() => expect(receiver.of("connection.closed")).toHaveLength(1), FOUND);
    await eventually(() => expect(receiver.of("member.left")).toHaveLength(2), FOUND);
    await eventually(() => expect(receiver.of("room.vacated")).toHaveLength(1), FOUND);
    const [closed] = receiver.of("connection.closed");
    expect(closed?.data).toEqual({ connection, user: { id: "lost" }, node: "node-1", reason: "node lost" });
    expect(new Set(receiver.of("member.left").map(({ data }) => `${data.user.id} ${data.room}`))).toEqual(
      new Set(["lost chat:1", "lost chat:2"]),
    );
    expect(receiver.of("room.vacated")[0]?.data.room).toBe("chat:1");
    other.socket.disconnect();
    await eventually(() => expect(receiver.of("connection.closed")).toHaveLength(2));
    expect(receiver.of("member.joined")).toHaveLength(3);
  });

  it.concurrent("[G4] a node that was only paused tells of its connections again", async () => {
    const receiver = await startReceiver();
    const events = ["connection.opened", "connection.closed"];
    const path = await webhooksFile({ all: { url: receiver.url, secrets: [receiver.secret], events } });
    const cluster = await startCluster({ nodes: 2, env: { WEBHOOKS: path, LEASE_SECONDS: "2" } });
    const ada = await connectWitness(cluster.urls[0] ?? "", { claims: { sub: "ada" } });
    await eventually(() => expect(receiver.of("connection.opened")).toHaveLength(1));
    await cluster.kill(0, "SIGSTOP");
    await eventually(() => expect(cluster.logs(1).join()).toContain("a node is gone"), FOUND);
    await cluster.kill(0, "SIGCONT");
    await eventually(() => expect(receiver.of("connection.opened")).toHaveLength(2), FOUND);
    expect(receiver.of("connection.closed")).toHaveLength(1);
    expect(receiver.events.map(({ data }) => data.connection)).toEqual([1, 2, 3].map(() => ada.socket.id));
    ada.socket.disconnect();
    await eventually(() => expect(receiver.of("connection.closed")).toHaveLength(2), FOUND);
  });

  it.concurrent("[G4] what an endpoint did not take in its time is in the dead-letter list, and can be replayed", async () => {
    const receiver = await startReceiver();
    receiver.answer = 301;
    const endpoint = { url: receiver.url, secrets: [receiver.secret], events: ["message.sent"], retrySeconds: 2 };
    const path = await webhooksFile({ calm: { ...endpoint, events: ["room.vacated"] }, "ill-1": endpoint });
    const cluster = await startCluster({ nodes: 2, env: { WEBHOOKS: path } });
    const api = apiOf(cluster.urls[0]);
    expect((await api("GET", "/webhooks/dead")).body).toEqual({ deliveries: [] });
    for (let data = 1; data <= 3; data++) {
      await api("POST", "/rooms/chat:1/messages", { body: { data, id: `m${data}` } });
      await eventually(() => expect(receiver.deliveries.at(-1)?.events.at(-1)?.data.message.id).toBe(`m${data}`));
    }
    const list = async (query = "") => (await api("GET", `/webhooks/dead${query}`)).body;
    const { deliveries } = await eventually(async () => {
      const answer = await list();
      expect(answer.deliveries).toHaveLength(3);
      return answer;
    }, FOUND);
    expect(deliveries[0]).toEqual({
      id: receiver.deliveries[0]?.id,
      endpoint: "ill-1",
      since: expect.any(Number),
      diedAt: expect.any(Number),
      attempts: expect.any(Number),
      error: "the endpoint answered 301",
      events: receiver.deliveries[0]?.events,
    });
    expect(deliveries[0].attempts).toBeGreaterThan(1);
    const first = await list("?limit=2");
    expect(first.deliveries).toEqual(deliveries.slice(0, 2));
    expect(await list(`?limit=2&cursor=${first.cursor}`)).toEqual({ deliveries: deliveries.slice(2) });
    expect((await api("GET", "/webhooks/dead?cursor=x")).body).toMatchObject({ status: 400, code: "bad_request" });

    receiver.answer = 200;
    const { id } = deliveries[1];
    const replays = await Promise.all(
      cluster.urls.map(async (url) => (await apiOf(url)("POST", `/webhooks/dead/${id}/replay`)).status),
    );
    // Where both nodes are asked at once, one is the first, and the other finds it gone.
    expect(replays.filter((status) => status === 200)).toHaveLength(1);
    expect(replays.filter((status) => status === 404)).toHaveLength(replays.length - 1);
    await eventually(() => expect(receiver.events.map(({ data }) => data.message.id)).toEqual(["m2"]));
    expect(receiver.deliveries.at(-1)).toMatchObject({ id, events: deliveries[1].events });
    expect((await list()).deliveries.map((one: { id: string }) => one.id)).toEqual([
      deliveries[0].id,
      deliveries[2].id,
    ]);
    for (const wrong of [id, "none"]) {
      expect((await api("POST", `/webhooks/dead/${wrong}/replay`)).body).toMatchObject({
        status: 404,
        code: "not_found",
      });
    }
    expect(receiver.forged).toEqual([]);
  });

  it.concurrent("[G9] an endpoint that does not answer holds up no room, and what is dropped for it is counted", async () => {
    const [dead, well] = [await startReceiver(), await startReceiver()];
    dead.answer = "hang";
    const events = ["message.sent"];
    const path = await webhooksFile({
      dead: { url: dead.url, secrets: [dead.secret], events, maxBatchBytes: 8 * 1024, maxQueuedBytes: 64 * 1024 },
      well: { url: well.url, secrets: [well.secret], events },
    });
    const cluster = await startCluster({ nodes: 1, env: { WEBHOOKS: path, RATE_LIMITS: "off" } });
    const ada = await connectWitness(cluster.urls[0] ?? "", { claims: { sub: "ada" } });
    await ada.ok("joinRoom", { room: "chat:1" });
    const api = apiOf(cluster.urls[0]);
    const data = "x".repeat(1_000);
    const total = 400;
    for (let sent = 0; sent < total; sent += 100) {
      const messages = Array.from({ length: 100 }, () => ({ room: "chat:1", data }));
      const { body } = await api("POST", "/messages", { body: { messages } });
      expect(body.results.every(({ ok }: { ok: boolean }) => ok)).toBe(true);
    }
    await eventually(() => expect(ada.of("message")).toHaveLength(total));
    await eventually(() => expect(well.events).toHaveLength(total), FOUND);

    const counted = (name: string) => metric(cluster, `roomcast_webhook_${name}\\{endpoint="dead"[^}]*\\}`);
    const dropped = () => counted("events_dropped_total");
    await eventually(async () => expect(await dropped()).toBeGreaterThan(0));
    await eventually(async () => expect(await counted("queued_bytes")).toBeGreaterThan(0), FOUND);
    expect(await counted("queued_bytes")).toBeLessThanOrEqual(64 * 1024);
    expect(cluster.logs(0).some((line) => line.includes("webhook events were dropped"))).toBe(true);
    await dead.stop();
    dead.answer = 200;
    await dead.start();
    await eventually(async () => expect(dead.events.length + (await dropped())).toBe(total), FOUND);
    expect(dead.events.length).toBeGreaterThan(0);
    await eventually(async () => expect(await counted("queued_bytes")).toBe(0), FOUND);
  });

  it.concurrent("[G4] an endpoint whose queue Redis refuses gets all later; the others get each event once meanwhile", async () => {
    const [ill, well] = [await startReceiver(), await startReceiver()];
    const events = ["message.sent"];
    const path = await webhooksFile({
      ill: { url: ill.url, secrets: [ill.secret], events, maxQueuedBytes: 32 * 1024, maxBatchBytes: 8 * 1024 },
      well: { url: well.url, secrets: [well.secret], events },
    });
    const server = await startRedis();
    const redis = rawRedis(server.url);
    const cluster = await startCluster({ nodes: 1, env: { WEBHOOKS: path, REDIS_URL: server.url } });
    const api = apiOf(cluster.urls[0]);
    const send = (room: string) => api("POST", `/rooms/${room}/messages`, { body: { data: "x".repeat(5_000) } });
    const meta = await eventually(async () => {
      const [key] = await redis.keys("*{webhooks:ill}*:meta");
      return key ?? expect.fail("its queue is not there");
    });
    const wait = meta.replace(/:meta$/, ":wait");
    await redis.set(wait, "of the wrong kind");
    for (const room of ["chat:1", "chat:2", "chat:1"]) await send(room);
    const refusals = () => cluster.logs(0).filter((line) => line.includes("webhook events could not be moved")).length;
    // Counted at each try, they would fill the queue of 32 KiB at the second.
    await eventually(() => expect(refusals()).toBeGreaterThan(5), FOUND);
    expect(well.events).toHaveLength(3);
    expect(ill.events).toEqual([]);
    // Nor does a try leave anything behind.
    await eventually(async () => expect(await redis.keys("*{webhooks:ill}*msg_*")).toEqual([]));
    await redis.del(wait);
    await send("chat:3");
    await eventually(() => expect(ill.events).toHaveLength(4), FOUND);
    await eventually(() => expect(well.events).toHaveLength(4), FOUND);
    expect(await metric(cluster, 'roomcast_webhook_events_dropped_total\\{endpoint="ill",reason="queue_full"\\}')).toBe(
      0,
    );
  });

  it.concurrent("[G9] of dead deliveries the oldest go, and are counted", async () => {
    const receiver = await startReceiver();
    receiver.answer = 500;
    const endpoint = { url: receiver.url, secrets: [receiver.secret], events: ["message.sent"], maxBatchEvents: 1 };
    const path = await webhooksFile({ ill: { ...endpoint, retrySeconds: 1, maxDead: 2 } });
    const cluster = await startCluster({ nodes: 1, env: { WEBHOOKS: path } });
    const api = apiOf(cluster.urls[0]);
    for (let data = 0; data < 5; data++) await api("POST", "/rooms/chat:1/messages", { body: { data } });
    const counted = (labels: string) => metric(cluster, `roomcast_webhook_events_${labels}`);
    await eventually(async () => expect(await counted('dead_total\\{endpoint="ill"\\}')).toBe(5), FOUND);
    await eventually(async () => expect(await counted('dropped_total\\{endpoint="ill",reason="dead_full"\\}')).toBe(3));
    expect((await api("GET", "/webhooks/dead")).body.deliveries).toHaveLength(2);
  });

  it.concurrent("[G9] where no endpoint wants what happens in a room, Redis hears of no webhooks", async () => {
    const receiver = await startReceiver();
    const endpoint = { url: receiver.url, secrets: [receiver.secret], events: ["message.sent"], roomTypes: ["chat"] };
    const server = await startRedis();
    const redis = rawRedis(server.url);
    const path = await webhooksFile({ one: endpoint });
    const environments: Record<string, string>[] = [{}, { WEBHOOKS: path }];
    for (const env of environments) {
      const cluster = await startCluster({ nodes: 1, env: { ...env, REDIS_URL: server.url } });
      const ada = await connectWitness(cluster.urls[0] ?? "", { claims: { sub: "ada" } });
      await redis.config("RESETSTAT");
      await ada.ok("joinRoom", { room: "game:1" });
      await ada.ok("sendMessage", { room: "game:1", data: 1 });
      await ada.ok("leaveRoom", { room: "game:1" });
      await ada.ok("joinRoom", { room: "chat:1" });
      const keys = (await redis.keys("*outbox*")).filter((key) => !key.includes("_node:"));
      expect(keys).toEqual([]);
      // Only the outboxes know it.
      expect(await redis.info("commandstats")).not.toContain("cmdstat_xlen");
      await cluster.stop();
    }
  });

  it.concurrent("[G5] an outage of Redis loses no event, and a node stops in it", async () => {
    const server = await startRedis({ aof: true });
    const receiver = await startReceiver();
    const path = await webhooksFile({
      all: { url: receiver.url, secrets: [receiver.secret], events: ["message.sent", "connection.opened"] },
    });
    const env = { WEBHOOKS: path, REDIS_URL: server.url };
    const cluster = await startCluster({ nodes: 2, env });
    const api = apiOf(cluster.urls[0]);
    const send = async (id: string) => (await api("POST", "/rooms/chat:1/messages", { body: { id, data: 1 } })).status;
    receiver.answer = "hang";
    for (const id of ["a", "b"]) expect(await send(id)).toBe(201);
    await eventually(() => expect(receiver.held).toBeGreaterThan(0));
    expect(await send("c")).toBe(201);
    await server.kill();
    const ada = await connectWitness(cluster.urls[0] ?? "", { claims: { sub: "ada" } });
    expect(await send("d")).toBe(503);
    await receiver.stop();
    receiver.answer = 200;
    await receiver.start();
    await server.start();
    await eventually(async () => expect(await send("d")).toBe(201), FOUND);
    await eventually(() => {
      const told = new Set(receiver.of("message.sent").map(({ data }) => data.message.id));
      expect([...told].sort()).toEqual(["a", "b", "c", "d"]);
    }, FOUND);
    await eventually(() => expect(receiver.of("connection.opened").map(({ data }) => data.user.id)).toEqual(["ada"]));
    ada.socket.disconnect();

    await server.kill();
    await eventually(() => expect(cluster.logs(1).join()).toContain("Redis is away"));
    await cluster.kill(1, "SIGTERM");
    expect(await cluster.node(1).ended).toBe("exit code 0");
  });
});
