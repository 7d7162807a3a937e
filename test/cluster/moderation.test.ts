import { beforeAll, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/private-redis.ts";
import { rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { startRedisProxy } from "../support/redis-proxy.ts";
import { brokenStream } from "../support/stream.ts";
import { API_KEY } from "../support/token.ts";
import { connectWitness, type Witness } from "../support/witness.ts";

/** What G7 promises, and what a busy machine may add. */
const EFFECTIVE = { withinMs: 1_000 + 1_500 };
const EFFECTIVE_ONCE_HEARD = { withinMs: 5_000 + 1_000 };

describeWithRedis("[G7] moderation", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 2, env: { RATE_LIMITS: "off" } });
    return () => cluster.stop();
  });
  const connect = (sub: string, node = 0, options: object = {}) =>
    connectWitness(cluster.urls[node] ?? "", { claims: { sub }, ...options });
  const members = async (witness: Witness, room: string) =>
    (await witness.ok("getMembers", { room })).members.map(({ id }) => id);
  const api = (path: string, key = API_KEY, node = 1) =>
    fetch(`${cluster.urls[node]}/v1${path}`, { method: "DELETE", headers: { authorization: `Bearer ${key}` } });

  it("kickMember puts all connections of a user out on every node, once, and they may come again", async () => {
    const room = "chat:kick";
    const mod = await connect("mod", 1);
    const eves = [await connect("eve", 0), await connect("eve", 1), await connect("eve", 0)];
    const bob = await connect("bob", 0);
    for (const witness of [mod, bob, ...eves]) await witness.ok("joinRoom", { room });
    await mod.ok("kickMember", { room, user: "eve" });
    await eventually(() => {
      for (const eve of eves) expect(eve.of("removed")).toEqual([{ room, reason: "kicked" }]);
      for (const other of [mod, bob]) expect(other.of("userLeft")).toHaveLength(1);
    }, EFFECTIVE);
    await bob.ok("sendMessage", { room, data: "she is gone" });
    await eventually(() => expect(bob.of("message")).toHaveLength(1));
    for (const eve of eves) {
      expect(eve.of("message")).toEqual([]);
      expect((await eve.refused("sendMessage", { room, data: 1 })).error.code).toBe("not_in_room");
      expect(eve.socket.connected).toBe(true);
    }
    expect(await members(mod, room)).toEqual(["mod", "bob"]);
    await eves[0]?.ok("joinRoom", { room });
    for (const other of [mod, bob]) expect(other.of("removed")).toEqual([]);
  });

  it("a ban keeps a user out of the room and its history on every node, until it is lifted", async () => {
    const room = "chat:ban";
    const mod = await connect("mod", 1);
    const eve = await connect("eve", 0);
    await mod.ok("joinRoom", { room });
    await eve.ok("joinRoom", { room });
    await mod.ok("sendMessage", { room, data: "secret" });
    const { until } = await mod.ok("kickMember", { room, user: "eve", banSeconds: 60 });
    await eventually(() => expect(eve.of("removed")).toEqual([{ room, reason: "banned", until }]), EFFECTIVE);
    for (const node of [0, 1]) {
      const again = await connect("eve", node);
      for (const name of ["joinRoom", "getHistory", "getMembers"] as const) {
        const { error } = await again.refused(name, { room });
        expect(error.code).toBe("banned");
        expect(error.message).toContain(new Date(until ?? 0).toISOString());
      }
      await again.ok("joinRoom", { room: "chat:another" });
    }
    await mod.ok("unbanMember", { room, user: "eve" });
    await eve.ok("joinRoom", { room });
    expect((await mod.refused("unbanMember", { room, user: "eve" })).error.code).toBe("not_found");
  });

  it("closeRoom puts everybody out, and what was said is gone; the numbers go on in a new epoch", async () => {
    const room = "chat:close";
    const all = await Promise.all(["a", "b", "c", "d"].map((sub, index) => connect(sub, index % 2)));
    for (const witness of all) await witness.ok("joinRoom", { room });
    const [mod] = all;
    if (mod === undefined) throw new Error("four members");
    const { seq, ts } = await mod.ok("sendMessage", { room, data: "old" });
    const before = (await mod.ok("getHistory", { room })).position;
    await mod.ok("closeRoom", { room });
    await eventually(() => {
      for (const witness of all) expect(witness.of("removed")).toEqual([{ room, reason: "closed" }]);
    }, EFFECTIVE);
    const outsider = await connect("e", 1);
    await eventually(async () => expect(await members(outsider, room)).toEqual([]));
    const since = { epoch: before.epoch, seq, ts };
    const rejoined = await all[1]?.ok("joinRoom", { room, since, history: 50 });
    expect(rejoined).toMatchObject({ recovered: false, messages: [], position: { seq } });
    expect(rejoined?.position.epoch).not.toBe(before.epoch);
    await all[2]?.ok("joinRoom", { room });
    expect(await all[1]?.ok("sendMessage", { room, data: "new" })).toMatchObject({ seq: seq + 1 });
    await eventually(() => expect(all[2]?.of("message").map(({ data }) => data)).toEqual(["old", "new"]));
    expect(all[1]?.of("resync").concat(all[2]?.of("resync") ?? [])).toEqual([]);
  });

  it("the application's servers moderate by /v1, and whoever has no key does not", async () => {
    const room = "chat:räume/1";
    const path = encodeURIComponent(room);
    const eve = await connect("eve@example.com/x", 0);
    await eve.ok("joinRoom", { room });
    for (const key of ["", "wrong", `${API_KEY}x`, API_KEY.slice(1)]) {
      const refused = await api(`/rooms/${path}/members/nobody`, key);
      expect(refused.status).toBe(401);
      expect(refused.headers.get("www-authenticate")).toContain("Bearer");
      expect(await refused.json()).toMatchObject({ code: "unauthorized", status: 401 });
    }
    const user = encodeURIComponent("eve@example.com/x");
    const banned = await api(`/rooms/${path}/members/${user}?banSeconds=60`);
    expect(banned.status).toBe(200);
    const { until } = (await banned.json()) as { until: number };
    await eventually(() => expect(eve.of("removed")).toEqual([{ room, reason: "banned", until }]), EFFECTIVE);
    expect((await eve.refused("joinRoom", { room })).error.code).toBe("banned");
    expect((await api(`/rooms/${path}/bans/${user}`)).status).toBe(200);
    expect((await api(`/rooms/${path}/bans/${user}`)).status).toBe(404);
    await eve.ok("joinRoom", { room });
    expect((await api(`/rooms/${path}/members/${user}`)).status).toBe(200);
    await eventually(() => expect(eve.of("removed").at(-1)).toEqual({ room, reason: "kicked" }), EFFECTIVE);
    await eve.ok("joinRoom", { room });
    expect((await api(`/rooms/${path}`)).status).toBe(200);
    await eventually(() => expect(eve.of("removed").at(-1)).toEqual({ room, reason: "closed" }), EFFECTIVE);
  });

  it("a blocked user is disconnected everywhere, without grace, and refused on every node until it is lifted", async () => {
    const room = "chat:block";
    const bob = await connect("bob", 1);
    await bob.ok("joinRoom", { room });
    const eves = [await connect("mallory", 0), await connect("mallory", 1)];
    for (const eve of eves) await eve.ok("joinRoom", { room });
    const reconnects: string[] = [];
    for (const eve of eves) eve.socket.io.on("reconnect_attempt", () => reconnects.push("tried"));
    expect((await api("/users/mallory/connections?blockSeconds=60", API_KEY, 0)).status).toBe(200);
    await eventually(() => {
      for (const eve of eves) {
        expect(eve.of("ending")).toEqual([{ code: "banned", message: expect.stringContaining("blocked until") }]);
        expect(eve.socket.connected).toBe(false);
      }
      expect(bob.of("userLeft").map(({ user }) => user.id)).toEqual(["mallory"]);
    }, EFFECTIVE);
    const refused = { data: { code: "banned", retryable: false } };
    for (const node of [0, 1]) await expect(connect("mallory", node)).rejects.toMatchObject(refused);
    // A node that starts later knows it too.
    await cluster.restart(1);
    await expect(connect("mallory", 1)).rejects.toMatchObject(refused);
    expect((await api("/users/mallory/block")).status).toBe(200);
    await eventually(async () => {
      for (const node of [0, 1]) (await connect("mallory", node)).socket.disconnect();
    }, EFFECTIVE);
    expect((await api("/users/mallory/block")).status).toBe(404);
    expect(reconnects).toEqual([]);
  });

  it("connections of a user can be ended without a block: they may come back when somebody asks them to", async () => {
    const eve = await connect("eve", 0);
    expect((await api("/users/eve/connections")).status).toBe(200);
    await eventually(() => expect(eve.socket.connected).toBe(false), EFFECTIVE);
    expect(eve.of("ending")).toMatchObject([{ code: "forbidden" }]);
    await connect("eve", 0);
  });

  it("a kick during the reconnect grace ends the grace", async () => {
    const room = "chat:grace";
    const mod = await connect("mod", 1);
    const eve = await connect("eve", 0, { reconnection: false });
    await mod.ok("joinRoom", { room });
    await eve.ok("joinRoom", { room });
    eve.socket.io.engine.close();
    expect(await members(mod, room)).toEqual(["mod", "eve"]);
    await mod.ok("kickMember", { room, user: "eve", banSeconds: 60 });
    await eventually(async () => expect(await members(mod, room)).toEqual(["mod"]), EFFECTIVE);
    await eventually(() => expect(mod.of("userLeft")).toHaveLength(1));
  });

  // The order comes by the subscription, the join's answer by another connection: either may be first.
  it("a ban that lands while a join is under way leaves nobody in", async () => {
    const room = "chat:race";
    const mod = await connect("mod", 1);
    await mod.ok("joinRoom", { room });
    const racers = await Promise.all(Array.from({ length: 30 }, (_, index) => connect(`racer-${index}`, index % 2)));
    await Promise.all(
      racers.map(async (racer, index) => {
        const joining = racer.ask("joinRoom", { room });
        await mod.ok("kickMember", { room, user: `racer-${index}`, banSeconds: 60 });
        const ack = await joining;
        if (!ack.ok) expect(ack.error.code).toBe("banned");
      }),
    );
    await eventually(async () => expect(await members(mod, room)).toEqual(["mod"]), EFFECTIVE);
    await mod.ok("sendMessage", { room, data: 1 });
    await eventually(() => expect(mod.of("message")).toHaveLength(1));
    for (const racer of racers) {
      expect(racer.of("message")).toEqual([]);
      expect((await racer.refused("sendMessage", { room, data: 1 })).error.code).toBe("not_in_room");
    }
  });

  it("orders that a node did not hear are carried out once it hears again", async () => {
    const room = "chat:deaf";
    const redis = rawRedis();
    const mod = await connect("mod", 1);
    const eve = await connect("eve", 0);
    const blocked = await connect("blocked", 0);
    for (const witness of [mod, eve, blocked]) await witness.ok("joinRoom", { room });
    await cluster.kill(0, "SIGSTOP");
    // What is published from now on is gone for the node that stands still.
    const list = (await redis.client("LIST")) as string;
    for (const line of list.split("\n").filter((client) => client.includes(`name=${cluster.prefix}-subscriber `))) {
      await redis.client("KILL", "ID", /^id=(\d+)/.exec(line)?.[1] ?? "");
    }
    await eventually(async () => {
      await mod.ok("kickMember", { room, user: "eve" });
    });
    expect((await api("/users/blocked/connections?blockSeconds=60")).status).toBe(200);
    await cluster.kill(0, "SIGCONT");
    await eventually(() => {
      expect(eve.of("removed")).toEqual([{ room, reason: "kicked" }]);
      expect(blocked.socket.connected).toBe(false);
    }, EFFECTIVE_ONCE_HEARD);
    expect(brokenStream(eve, room)).toEqual([]);
    await expect(connect("blocked", 0)).rejects.toMatchObject({ data: { code: "banned" } });
  });

  it("orders whose log was lost are looked up: who is kept out by then is put out", async () => {
    const room = "chat:lost";
    const redis = rawRedis();
    const eve = await connect("eve", 0);
    await eve.ok("joinRoom", { room });
    // As after a failover that lost the log's end: the ban is there, and the order for it is not.
    await redis.zadd(`{${cluster.prefix}#/#${room}#}:bans`, Date.now() + 60_000, "eve");
    // One room whose bans nobody can read must not keep the others' from being obeyed.
    await eve.ok("joinRoom", { room: "chat:broken" });
    await redis.set(`{${cluster.prefix}#/#chat:broken#}:bans`, "no sorted set");
    await redis.del(`{${cluster.prefix}#/#_control#}:meta`, `{${cluster.prefix}#/#_control#}:log`);
    // The first order after that is nobody's next: it is carried out all the same.
    await eve.ok("joinRoom", { room: "chat:first" });
    await (await connect("mod", 1)).ok("kickMember", { room: "chat:first", user: "eve" });
    await eventually(() => {
      expect(eve.of("removed", room)).toEqual([{ room, reason: "banned", until: expect.any(Number) }]);
      expect(eve.of("removed", "chat:first")).toEqual([{ room: "chat:first", reason: "kicked" }]);
    }, EFFECTIVE_ONCE_HEARD);
    await (await connect("mod", 1)).ok("kickMember", { room: "chat:broken", user: "eve" });
    await eventually(() => expect(eve.of("removed", "chat:broken")).toMatchObject([{ reason: "kicked" }]), EFFECTIVE);
  });
});

describeWithRedis("[G7] moderation of who was on a node that stopped", () => {
  it("a kick, a block and a closing end the grace that the node left them, and no other", async () => {
    // Nobody's grace ends by itself.
    const cluster = await startCluster({ nodes: 2, env: { GRACE_SECONDS: "300" } });
    const room = "chat:stopped";
    const [here = "", there = ""] = cluster.urls;
    const mod = await connectWitness(here, { claims: { sub: "mod" } });
    await mod.ok("joinRoom", { room });
    await mod.ok("joinRoom", { room: "chat:other" });
    for (const sub of ["kicked", "blocked", "stays"]) {
      const gone = await connectWitness(there, { claims: { sub }, reconnection: false });
      await gone.ok("joinRoom", { room });
      await gone.ok("joinRoom", { room: "chat:other" });
    }
    const who = async (of: string) => (await mod.ok("getMembers", { room: of })).members.map(({ id }) => id).sort();
    cluster.node(1).kill("SIGTERM");
    expect(await cluster.node(1).ended).toBe("exit code 0");
    expect(await who(room)).toEqual(["blocked", "kicked", "mod", "stays"]);

    await mod.ok("kickMember", { room, user: "kicked" });
    expect(await who(room)).toEqual(["blocked", "mod", "stays"]);
    expect(await who("chat:other")).toEqual(["blocked", "kicked", "mod", "stays"]);
    const headers = { authorization: `Bearer ${API_KEY}` };
    const block = `${here}/v1/users/blocked/connections?blockSeconds=60`;
    expect((await fetch(block, { method: "DELETE", headers })).status).toBe(200);
    expect(await who(room)).toEqual(["mod", "stays"]);
    expect(await who("chat:other")).toEqual(["kicked", "mod", "stays"]);
    await mod.ok("closeRoom", { room: "chat:other" });
    await eventually(async () => expect(await who("chat:other")).toEqual([]), EFFECTIVE);
    expect(await who(room)).toEqual(["mod", "stays"]);
    await eventually(() => expect(mod.of("userLeft", room).map(({ user }) => user.id)).toEqual(["kicked", "blocked"]));
  });

  // The node hears the order by its subscription until it has handed its members over; whoever gave the order looks after
  // that for nodes that stopped. One of both finds the member, however close they are.
  it("a kick that is given in the very moment of the stop ends the grace", async () => {
    const cluster = await startCluster({
      nodes: 2,
      env: { GRACE_SECONDS: "300", DRAIN_SECONDS: "0", RATE_LIMITS: "off" },
    });
    const room = "chat:moment";
    const mod = await connectWitness(cluster.urls[0] ?? "", { claims: { sub: "mod" } });
    await mod.ok("joinRoom", { room });
    const users = Array.from({ length: 40 }, (_, index) => `user-${index}`);
    for (const sub of users) {
      const gone = await connectWitness(cluster.urls[1] ?? "", { claims: { sub }, reconnection: false });
      await gone.ok("joinRoom", { room });
    }
    cluster.node(1).kill("SIGTERM");
    let over = false;
    const ended = cluster.node(1).ended.then(() => {
      over = true;
    });
    for (const user of users) {
      await mod.ok("kickMember", { room, user });
      if (!over) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await ended;
    await eventually(async () => {
      expect((await mod.ok("getMembers", { room })).members.map(({ id }) => id)).toEqual(["mod"]);
    });
  });

  it("a kick that the node hears only after it has handed its members over ends the grace", async () => {
    const server = await startRedis();
    const proxy = await startRedisProxy(server.port);
    const redis = rawRedis(server.url);
    const env = { GRACE_SECONDS: "300", DRAIN_SECONDS: "0", REDIS_PREFIX: "late" };
    const cluster = await startCluster({ nodes: 1, env: { ...env, REDIS_URL: server.url } });
    const stopping = await startCluster({ nodes: 1, env: { ...env, REDIS_URL: proxy.url } });
    const room = "chat:late";
    const mod = await connectWitness(cluster.urls[0] ?? "", { claims: { sub: "mod" } });
    const eve = await connectWitness(stopping.urls[0] ?? "", { claims: { sub: "eve" }, reconnection: false });
    for (const one of [mod, eve]) await one.ok("joinRoom", { room });
    // The two connections to Redis are as far apart as two connections may be.
    proxy.hold("subscriber", ["answers"]);
    await mod.ok("kickMember", { room, user: "eve" });
    stopping.node(0).kill("SIGTERM");
    await eventually(async () => expect(await redis.zcard("late:{nodes}:released")).toBe(1));
    proxy.release();
    expect(await stopping.node(0).ended).toBe("exit code 0");
    await eventually(async () => {
      expect((await mod.ok("getMembers", { room })).members.map(({ id }) => id)).toEqual(["mod"]);
    });
  });
});
