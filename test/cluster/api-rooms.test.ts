import { beforeAll, expect, it } from "vitest";
import { CALLS } from "../../src/calls.ts";
import { apiOf } from "../support/api.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithRedis } from "../support/redis.ts";
import { connectWitness } from "../support/witness.ts";

/** Lease and noticing together (G4), and what a busy machine may add. */
const GONE = { withinMs: 12_000 };

describeWithRedis("/v1, rooms", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster({ env: { LEASE_SECONDS: "2" } });
    return () => cluster.stop();
  });
  const connect = (sub: string, node: number) => connectWitness(cluster.urls[node] ?? "", { claims: { sub } });

  it("lists occupied rooms from a node that has nobody in them, and says how each one is", async () => {
    const api = apiOf(cluster.urls[2]);
    const ada = [await connect("ada", 0), await connect("ada", 1)];
    const bob = await connect("bob", 0);
    for (const witness of [...ada, bob]) await witness.ok("joinRoom", { room: "list:1" });
    await bob.ok("joinRoom", { room: "list:2" });
    await bob.ok("joinRoom", { room: "other:1" });
    const { position } = await bob.ok("getHistory", { room: "list:1" });
    const one = { room: "list:1", members: 2, connections: 3, position };
    await eventually(async () => {
      const { body } = await api("GET", "/rooms?type=list");
      expect(CALLS.listRooms.answer.parse(body)).toMatchObject({ complete: true });
      expect(body.rooms).toHaveLength(2);
      expect(body.rooms).toContainEqual(one);
    });
    const paged = await api("GET", "/rooms?limit=1");
    expect(paged.body).toMatchObject({ rooms: [{}], cursor: expect.any(String), complete: true });
    expect((await api("GET", "/rooms/list:1")).body).toEqual({ ...one, complete: true });
    expect(await api("GET", "/rooms/list:none")).toMatchObject({ status: 404, body: { code: "not_found" } });
    for (const query of ["cursor=x", "limit=0", "limit=101", "type=", "type=list:1"]) {
      expect([query, (await api("GET", `/rooms?${query}`)).status]).toEqual([query, 400]);
    }
    await bob.ok("leaveRoom", { room: "list:2" });
    await eventually(async () => {
      expect((await api("GET", "/rooms?type=list")).body.rooms).toMatchObject([{ room: "list:1" }]);
    });
    expect((await api("GET", "/rooms/list:2")).body).toMatchObject({ members: 0, connections: 0 });
  });

  it("[G4] the rooms of a killed node are out of the list once its members are out", async () => {
    const api = apiOf(cluster.urls[2]);
    const eve = await connect("eve", 1);
    await eve.ok("joinRoom", { room: "death:1" });
    await eventually(async () => expect((await api("GET", "/rooms?type=death")).body.rooms).toHaveLength(1));
    await cluster.kill(1);
    await eventually(async () => expect((await api("GET", "/rooms?type=death")).body.rooms).toEqual([]), GONE);
  });
});
