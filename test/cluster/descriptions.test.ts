import { expect, it } from "vitest";
import { EVENTS, REPLIES } from "../../src/payloads.ts";
import type { RequestName, ServerEvents } from "../../src/protocol.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithRedis } from "../support/redis.ts";
import { connectWitness } from "../support/witness.ts";

const ROOM = "chat:described";

describeWithRedis("the descriptions of a node", () => {
  it("are served under the strict policy, without a key", async () => {
    const cluster = await startCluster({ nodes: 1 });
    for (const path of ["/openapi.json", "/asyncapi.json", "/docs/", "/docs/events", "/docs/swagger-ui-bundle.js"]) {
      const answer = await fetch(`${cluster.urls[0]}${path}`);
      expect({ path, status: answer.status }).toEqual({ path, status: 200 });
      const policy = answer.headers.get("content-security-policy");
      expect(policy).toContain("script-src 'self';style-src 'self';");
      expect(policy).not.toContain("unsafe");
      await answer.arrayBuffer();
    }
  });

  it("hold what nodes say, field by field", async () => {
    const cluster = await startCluster({ nodes: 2, env: { GRACE_SECONDS: "0" } });
    const ada = await connectWitness(cluster.urls[0] ?? "", { claims: { sub: "ada", name: "Ada" } });
    await ada.ok("joinRoom", { room: ROOM });
    const bob = await connectWitness(cluster.urls[1] ?? "", { claims: { sub: "bob" } });
    await bob.ok("joinRoom", { room: ROOM, state: { seat: 1 }, history: 5 });
    await bob.ok("sendMessage", { room: ROOM, data: { any: ["thing"] } });
    await bob.ok("sendSignal", { room: ROOM, event: "typing", data: 1 });
    await bob.ok("setState", { room: ROOM, state: { seat: 2 } });
    await ada.ok("getHistory", { room: ROOM });
    await ada.ok("getMembers", { room: ROOM });
    await ada.ok("kickMember", { room: ROOM, user: "bob", banSeconds: 60 });
    await eventually(() => expect(ada.of("userLeft")).toHaveLength(1));
    await ada.ok("unbanMember", { room: ROOM, user: "bob" });
    await ada.ok("closeRoom", { room: ROOM });
    cluster.node(0).kill("SIGTERM");
    const wanted = ["message", "signal", "userJoined", "userUpdated", "userLeft", "removed", "draining"];
    await eventually(() => expect(ada.seen.map(({ name }) => name)).toEqual(expect.arrayContaining(wanted)));
    for (const { name, payload } of [...ada.seen, ...bob.seen]) {
      const request = /^ack (\w+)$/.exec(name)?.[1];
      if (request === undefined) {
        expect(EVENTS[name as keyof ServerEvents].parse(payload), name).toEqual(payload);
      } else {
        const { ok, ...reply } = payload as { ok: boolean };
        expect(ok).toBe(true);
        expect(REPLIES[request as RequestName].parse(reply), name).toEqual(reply);
      }
    }
  });
});
