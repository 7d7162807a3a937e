import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { stockClient, TRANSPORTS } from "../support/client.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { findHaproxy, startHaproxy } from "../support/haproxy.ts";
import { Member } from "../support/member.ts";
import { startRedis } from "../support/private-redis.ts";
import { NO_REDIS, REDIS_URL } from "../support/run-redis.ts";
import { startSticky } from "../support/sticky.ts";
import { signToken } from "../support/token.ts";

const ROOM = "chat:behind";
const OUTAGE_MS = 6_000;
/** Unready after 3 s, and found by two probes. */
const UNREADY_WITHIN_MS = 12_000;
/** What a busy machine may take to answer a probe, and two of them in a row. */
const READY_WITHIN_MS = 10_000;

/** A balancer in front of a cluster, and how many nodes it gives new clients to. */
type Balanced = (cluster: TestCluster) => Promise<{ url: string; up(): Promise<number> }>;

async function ownBalancer(cluster: TestCluster) {
  const { url } = await startSticky(cluster);
  const up = async () => {
    const ready = await Promise.all(cluster.adminUrls.map(async (admin) => (await fetch(`${admin}/readyz`)).ok));
    return ready.filter(Boolean).length;
  };
  return { url, up };
}

const haproxy = REDIS_URL === undefined ? undefined : await findHaproxy();
const BALANCERS: Record<string, Balanced | string> = {
  "the local cluster's own": REDIS_URL === undefined ? NO_REDIS : ownBalancer,
  "HAProxy with the file of deploy/":
    haproxy === undefined ? "no haproxy on the PATH, no apt-get download" : (cluster) => startHaproxy(haproxy, cluster),
};

describe("a balancer while Redis is away and all nodes are unready", () => {
  for (const [name, balanced] of Object.entries(BALANCERS)) {
    const title = `[G5] leaves every client where it is, polling ones too, and they miss nothing (${name})`;
    if (typeof balanced === "string") {
      it.skip(`${title} (skipped: ${balanced})`, () => undefined);
      continue;
    }
    it.concurrent(title, async () => {
      const server = await startRedis();
      const cluster = await startCluster({ env: { REDIS_URL: server.url } });
      const balancer = await balanced(cluster);
      const members: Member[] = [];
      const lost: string[] = [];
      for (const [how, transports] of Object.entries(TRANSPORTS)) {
        for (const who of [1, 2]) {
          const socket = stockClient(balancer.url, await signToken({ sub: `${how} ${who}` }), {
            transports: [...transports],
          });
          socket.on("disconnect", (reason) => lost.push(`${how} ${who}: ${reason}`));
          members.push(new Member(socket, ROOM));
          socket.connect();
        }
      }
      await eventually(() => expect(members.every(({ joined }) => joined)).toBe(true));
      const before = members.map(({ messages }) => messages.length);
      await Promise.all(members.map((member, who) => member.send(`before-${who}`)));
      expect(before).toEqual(members.map(() => 0));

      const wentAt = performance.now();
      await server.pause();
      const sent = members.map((member, who) => member.send(`during-${who}`));
      await eventually(async () => expect(await balancer.up()).toBe(0), { withinMs: UNREADY_WITHIN_MS });
      // Long enough for every client to have polled and posted while no node is taken for alive.
      await delay(Math.max(OUTAGE_MS / 3, OUTAGE_MS - (performance.now() - wentAt)));
      expect(await balancer.up()).toBe(0);
      await server.resume();
      await Promise.all(sent);
      await eventually(async () => expect(await balancer.up()).toBe(cluster.urls.length), {
        withinMs: READY_WITHIN_MS,
      });
      await Promise.all(members.map((member, who) => member.send(`after-${who}`)));
      await eventually(() => {
        for (const { messages } of members) expect(messages).toHaveLength(3 * members.length);
      });
      expect(lost).toEqual([]);
      for (const { violations, runs, recoveries } of members) {
        expect(violations).toEqual([]);
        expect(runs).toHaveLength(1);
        expect(recoveries).toBe(0);
      }
    });
  }
});
