import { beforeAll, expect, it } from "vitest";
import { CALLS } from "../../src/calls.ts";
import { VERSION } from "../../src/version.ts";
import { connected } from "../contract/redis-world.ts";
import { apiOf } from "../support/api.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithRedis } from "../support/redis.ts";
import { connectWitness } from "../support/witness.ts";

/** Lease and noticing together (G4), and what a busy machine may add. */
const GONE = { withinMs: 12_000 };

describeWithRedis("/v1, nodes", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster({ env: { LEASE_SECONDS: "2", GRACE_SECONDS: "3" } });
    return () => cluster.stop();
  });

  it("lists every node with its load, from what each wrote down", async () => {
    const bob = await connectWitness(cluster.urls[1] ?? "", { claims: { sub: "bob" } });
    await bob.ok("joinRoom", { room: "chat:1" });
    const api = apiOf(cluster.urls[2]);
    await eventually(async () => {
      const { status, body } = await api("GET", "/nodes");
      expect(status).toBe(200);
      const { nodes, complete } = CALLS.listNodes.answer.parse(body);
      expect(complete).toBe(true);
      expect(nodes.map(({ name }) => name).sort()).toEqual(["node-1", "node-2", "node-3"]);
      expect(new Set(nodes.map(({ id }) => id)).size).toBe(3);
      const busy = nodes.find(({ name }) => name === "node-2");
      expect(busy).toMatchObject({ connections: 1, rooms: 1, draining: false, version: VERSION });
      expect(Math.abs(Date.now() - (busy?.startedAt ?? 0))).toBeLessThan(60_000);
      expect(nodes.find(({ name }) => name === "node-3")).toMatchObject({ connections: 0, rooms: 0 });
    });
  });

  it("says so where a node that lives has not told how it is", async () => {
    const redis = await connected("commands");
    const leases = `${cluster.prefix}:{nodes}:leases`;
    await redis.zadd(leases, Date.now() + 2_000, "silent");
    const { body } = await apiOf(cluster.urls[0])("GET", "/nodes");
    expect(body).toMatchObject({ complete: false, missing: ["how node silent is"] });
    expect(body.nodes).toHaveLength(3);
    await eventually(
      async () => expect((await apiOf(cluster.urls[0])("GET", "/nodes")).body.complete).toBe(true),
      GONE,
    );
  });

  it("[G4] a node that was killed is out of the list, one that was stopped at once, and nothing of them stays behind", async () => {
    const api = apiOf(cluster.urls[2]);
    const names = async () => (await api("GET", "/nodes")).body.nodes.map(({ name }: { name: string }) => name).sort();
    await cluster.kill(0);
    await eventually(async () => expect(await names()).toEqual(["node-2", "node-3"]), GONE);
    await cluster.kill(1, "SIGTERM");
    await cluster.node(1).ended;
    expect(await names()).toEqual(["node-3"]);
    const redis = await connected("commands");
    await eventually(async () => expect(await redis.hlen(`${cluster.prefix}:{nodes}:info`)).toBe(1), {
      withinMs: 20_000,
    });
  });
});
