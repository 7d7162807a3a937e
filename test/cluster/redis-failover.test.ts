import { expect, it } from "vitest";
import { Picture } from "../../faults/picture.ts";
import { startSwallowingProxy } from "../../faults/swallowing-proxy.ts";
import type { ServerEvents } from "../../src/protocol.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithRedis } from "../support/redis.ts";
import { RedisPair } from "../support/redis-pair.ts";
import { startRedisProxy } from "../support/redis-proxy.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { startReceiver, webhooksFile } from "../support/webhook-receiver.ts";
import { connectWitness, type Witness } from "../support/witness.ts";

const ROOM = "chat:quiet";
const LEASE_SECONDS = 2;
/** Nobody is taken for dead before a lease was held for its whole length, and the sweep looks six times a lease. */
const PUT_RIGHT = { withinMs: 3 * LEASE_SECONDS * 1_000 + 4_000 };
/** Two and a half seconds of refused writes, and five between two looks. */
const LEFT_WITHIN = { withinMs: 15_000 };

/** Two nodes on a Redis whose place another one may take. */
async function startNodes(): Promise<{ pair: RedisPair; cluster: TestCluster; failOver(): Promise<void> }> {
  const pair = await RedisPair.start();
  const proxy = await startSwallowingProxy(pair.primary.port);
  stopsWithTest(() => proxy.close());
  const env = {
    REDIS_URL: `redis://127.0.0.1:${proxy.port}`,
    LEASE_SECONDS: String(LEASE_SECONDS),
    RATE_LIMITS: "off",
  };
  const cluster = await startCluster({ nodes: 2, env });
  const failOver = async () => {
    await pair.failOver();
    proxy.turnTo(pair.primary.port);
  };
  return { pair, cluster, failOver };
}

/** A member who knows who is there by the protocol's own rules. */
async function enter(cluster: TestCluster, node: number, sub: string): Promise<{ witness: Witness; picture: Picture }> {
  const witness = await connectWitness(cluster.urls[node] ?? "", { claims: { sub } });
  const picture = new Picture();
  const ask = async () => {
    const page = await witness.ask("getMembers", { room: ROOM });
    if (!page.ok || !picture.replace(page.members, page.version, false)) setTimeout(again, 100);
  };
  const again = () => {
    if (witness.socket.connected) ask().catch(() => undefined);
  };
  const take = (event: { version: number }, joined: ServerEvents["presence"]["joined"], left: typeof joined) => {
    if (picture.take(joined, left, event) === "missed") again();
  };
  witness.socket.on("userJoined", (event: ServerEvents["userJoined"]) => take(event, [event.user], []));
  witness.socket.on("userLeft", (event: ServerEvents["userLeft"]) => take(event, [], [event.user]));
  witness.socket.on("presence", (event: ServerEvents["presence"]) => {
    if (event.partial) again();
    else take(event, event.joined, event.left);
  });
  const { members, version } = await witness.ok("joinRoom", { room: ROOM });
  picture.replace(members, version, true);
  return { witness, picture };
}

describeWithRedis("a failover to a Redis that lacks the last writes, in a room without messages", () => {
  it("[G5] whoever came meanwhile is in, whoever went is out, to those who ask and to those who listen; nobody is shown leaving who stayed", async () => {
    const { pair, cluster, failOver } = await startNodes();
    const ada = await enter(cluster, 0, "ada");
    const ben = await enter(cluster, 1, "ben");
    const cleo = await enter(cluster, 1, "cleo");
    await pair.fallBehind();
    const dora = await enter(cluster, 1, "dora");
    await ben.witness.ok("setState", { room: ROOM, state: { away: true } });
    await cleo.witness.ok("leaveRoom", { room: ROOM });
    await eventually(() => expect(ada.picture.users).toEqual(["ada", "ben", "dora"]));
    await failOver();
    const stayed = [ada, ben, dora];
    await eventually(async () => {
      const { members } = await ada.witness.ok("getMembers", { room: ROOM });
      const states = members.map(({ id, state }) => [id, state]).sort();
      expect(states).toEqual([
        ["ada", undefined],
        ["ben", { away: true }],
        ["dora", undefined],
      ]);
      for (const { picture } of stayed) expect(picture.users).toEqual(["ada", "ben", "dora"]);
    }, PUT_RIGHT);
    // Numbers go on behind those that members know.
    await enter(cluster, 0, "emil");
    await eventually(() => {
      for (const { picture } of stayed) expect(picture.users).toEqual(["ada", "ben", "dora", "emil"]);
      expect(ben.witness.of("userJoined").map(({ user }) => user.id)).toContain("emil");
    });
    const left = stayed.flatMap(({ witness }) => witness.of("userLeft").map(({ user }) => user.id));
    expect([...new Set(left)]).toEqual(["cleo"]);
    for (const { witness } of stayed) expect(witness.of("resync")).toEqual([]);
  });
});

describeWithRedis("a Redis that is demoted, and keeps its connections", () => {
  it("[G5] is left for the one that took its place, and nothing is lost", async () => {
    const pair = await RedisPair.start();
    const proxy = await startRedisProxy(pair.primary.port);
    const receiver = await startReceiver();
    const endpoint = { url: receiver.url, secrets: [receiver.secret], events: ["message.sent"] };
    const WEBHOOKS = await webhooksFile({ endpoint });
    const cluster = await startCluster({ nodes: 2, env: { REDIS_URL: proxy.url, RATE_LIMITS: "off", WEBHOOKS } });
    const told = () => [...new Set(receiver.of("message.sent").map(({ data }) => data.message.id))];
    const [ada, ben] = await Promise.all([
      connectWitness(cluster.urls[0] ?? "", { claims: { sub: "ada" } }),
      connectWitness(cluster.urls[1] ?? "", { claims: { sub: "ben" } }),
    ]);
    for (const witness of [ada, ben]) await witness.ok("joinRoom", { room: ROOM });
    await ada.ok("sendMessage", { room: ROOM, data: "before", id: "before" });
    await eventually(() => expect(told()).toEqual(["before"]));
    await pair.fallBehind();
    await pair.demote();
    // Whose connections it ended is back on it by then: the address still leads there.
    for (const url of cluster.adminUrls) {
      await eventually(async () => expect((await fetch(`${url}/readyz`)).status).toBe(503));
    }
    proxy.leadTo(pair.primary.port);
    await eventually(() => ada.ok("sendMessage", { room: ROOM, data: "after", id: "after" }), LEFT_WITHIN);
    await eventually(() => ben.ok("sendMessage", { room: ROOM, data: "too", id: "too" }), LEFT_WITHIN);
    for (const witness of [ada, ben]) {
      await eventually(() => expect(witness.of("message").map(({ id }) => id)).toEqual(["before", "after", "too"]));
      expect(witness.of("resync")).toEqual([]);
    }
    // The workers wait for deliveries on connections of their own; two of them may overtake one another.
    await eventually(() => expect(told().sort()).toEqual(["after", "before", "too"]), LEFT_WITHIN);
    for (const url of cluster.adminUrls) {
      await eventually(async () => expect((await fetch(`${url}/readyz`)).status).toBe(200));
    }
  });
});
