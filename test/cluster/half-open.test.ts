import { expect, it } from "vitest";
import type { RequestName } from "../../src/protocol.ts";
import type { ConnectionRole } from "../../src/redis/connection.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { Member } from "../support/member.ts";
import { metric } from "../support/metric.ts";
import { startRedis } from "../support/private-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { startRedisProxy } from "../support/redis-proxy.ts";
import { connectWitness, type Witness } from "../support/witness.ts";

const ROOM = "chat:half-open";
/** What G5 promises, and what a busy machine may add, in milliseconds. */
const ANSWER_WITHIN_MS = 2_000 + 500;
const REPAIRED_WITHIN_MS = 12_000;

/** The requests that each of a node's connections carries. */
const CARRIES: Record<Exclude<ConnectionRole, "webhooks">, Partial<Record<RequestName, object>>> = {
  commands: { sendMessage: { room: ROOM, data: "lost", id: "lost" }, setState: { room: ROOM, state: { lost: true } } },
  reads: { getHistory: { room: ROOM }, getMembers: { room: ROOM } },
  subscriber: {},
};

/** Two nodes, the first behind a network that may break, with a member each. */
async function startPair() {
  const server = await startRedis();
  const proxy = await startRedisProxy(server.port);
  const env = { RATE_LIMITS: "off", REDIS_PREFIX: "half" };
  const near = await startCluster({ nodes: 1, env: { ...env, REDIS_URL: proxy.url } });
  const far = await startCluster({ nodes: 1, env: { ...env, REDIS_URL: server.url } });
  const enter = async (url: string, sub: string) => {
    const witness = await connectWitness(url, { claims: { sub } });
    const member = new Member(witness.socket, ROOM);
    await eventually(() => expect(member.joined).toBe(true));
    return { witness, member };
  };
  const [here, there] = [await enter(near.urls[0] ?? "", "here"), await enter(far.urls[0] ?? "", "there")];
  return { proxy, near, far, here, there };
}

async function refusedInTime(witness: Witness, name: RequestName, payload: object): Promise<void> {
  const started = performance.now();
  const { error } = await witness.refused(name, payload);
  expect(error.code, name).toBe("unavailable");
  expect(performance.now() - started, name).toBeLessThan(ANSWER_WITHIN_MS);
}

describeWithRedis("a connection to Redis that is half open", () => {
  for (const role of ["commands", "reads", "subscriber"] as const) {
    it(`[G5] its requests are unavailable within 2 s, it is made anew, and nothing is lost (${role})`, async () => {
      const { proxy, near, here, there } = await startPair();
      await there.member.send("before");
      proxy.swallow(role);
      const asked = Object.entries(CARRIES[role]) as [RequestName, object][];
      const during = there.member.send("during");
      await Promise.all(asked.map(([name, payload]) => refusedInTime(here.witness, name, payload)));
      await during;
      await eventually(() => expect(here.member.messages.map(({ id }) => id)).toContain("during"), {
        withinMs: REPAIRED_WITHIN_MS,
      });
      await here.member.send("lost");
      await there.member.send("after");
      for (const { member, witness } of [here, there]) {
        await eventually(() =>
          expect(member.messages.map(({ id }) => id)).toEqual(["before", "during", "lost", "after"]),
        );
        expect(member.violations).toEqual([]);
        expect(member.runs).toHaveLength(1);
        expect(witness.of("resync")).toEqual([]);
        expect(witness.of("userLeft")).toEqual([]);
      }
      for (const [name, payload] of asked) await eventually(() => here.witness.ok(name, payload));
      // A subscription that is dead is found by the node not hearing itself.
      const deaf = role === "subscriber" ? 1 : 0;
      await eventually(async () => expect(await metric(near, "roomcast_resubscribes_total")).toBe(deaf));
      if (deaf > 0) await eventually(() => expect(here.witness.of("restored")).toHaveLength(1));
      await eventually(async () => expect((await fetch(`${near.adminUrls[0]}/readyz`)).status).toBe(200));
      const lines = near.logs(0).filter((line) => line.includes("nothing comes back from Redis"));
      expect(lines).toHaveLength(deaf);
      expect(await metric(near, "roomcast_pulse_round_trip_seconds_count")).toBeGreaterThan(0);
    });
  }

  it("[G1] [G3] [G5] what arrives late, after it was given up, is stored once and leaves no ghost", async () => {
    const { proxy, here, there } = await startPair();
    for (const role of ["commands", "reads", "subscriber"] as const) proxy.hold(role, ["requests"]);
    await Promise.all([
      refusedInTime(here.witness, "sendMessage", { room: ROOM, data: "late", id: "late" }),
      refusedInTime(here.witness, "joinRoom", { room: "chat:ghost" }),
      refusedInTime(here.witness, "getHistory", { room: ROOM }),
    ]);
    await there.member.send("during");
    await eventually(() => expect(here.witness.of("stalled")).toHaveLength(1));
    // The bytes of the connections that were given up arrive now, beside those of the new ones.
    proxy.release();
    await eventually(() => expect(here.witness.of("restored")).toHaveLength(1), { withinMs: REPAIRED_WITHIN_MS });
    await here.member.send("late");
    for (const { member } of [here, there]) {
      await eventually(() => expect(member.messages.map(({ id }) => id).sort()).toEqual(["during", "late"]));
      expect(member.violations).toEqual([]);
      expect(member.runs).toHaveLength(1);
    }
    await eventually(async () =>
      expect(await there.witness.ok("getMembers", { room: "chat:ghost" })).toMatchObject({ memberCount: 0 }),
    );
    expect(there.witness.of("userLeft")).toEqual([]);
  });
});
