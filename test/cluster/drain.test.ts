import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import type { ServerEvents } from "../../src/protocol.ts";
import { connectClient, stockClient, TRANSPORTS } from "../support/client.ts";
import { startCluster } from "../support/cluster.ts";
import { startEmbedded } from "../support/embedded.ts";
import { eventually } from "../support/eventually.ts";
import { Member } from "../support/member.ts";
import { describeWithRedis } from "../support/redis.ts";
import { startSticky } from "../support/sticky.ts";
import { API_KEY, signToken } from "../support/token.ts";

const ROOM = "chat:drain";

async function readiness(adminUrl: string): Promise<number> {
  return (await fetch(`${adminUrl}/readyz`)).status;
}

describeWithRedis("drain", () => {
  it("[G8] POST /drain hands every connection over and leaves the process alive", async () => {
    const cluster = await startCluster({ nodes: 2, env: { DRAIN_SECONDS: "3" } });
    const sticky = await startSticky(cluster);
    const [url = ""] = cluster.urls;
    const [adminUrl = ""] = cluster.adminUrls;
    const drain = (key: string) =>
      fetch(`${adminUrl}/drain`, { method: "POST", headers: { authorization: `Bearer ${key}` } });
    expect((await drain("wrong")).status).toBe(401);
    expect(await readiness(adminUrl)).toBe(200);

    const here = await Promise.all(
      Object.values(TRANSPORTS).flatMap((transports) =>
        Array.from({ length: 4 }, async () =>
          connectClient(url, await signToken(), { transports, reconnection: false }),
        ),
      ),
    );
    const warned: number[] = [];
    const closed: string[] = [];
    for (const { socket } of here) {
      socket.on("draining", ({ reconnectWithinMs }: ServerEvents["draining"]) => warned.push(reconnectWithinMs));
      socket.on("disconnect", (reason) => closed.push(reason));
    }
    expect((await drain(API_KEY)).status).toBe(202);
    await eventually(async () => expect(await readiness(adminUrl)).toBe(503));
    await eventually(() => expect(closed).toHaveLength(here.length), { withinMs: 8_000 });
    // Any other reason, and stock clients would stay away.
    expect(new Set(closed)).toEqual(new Set(["transport close"]));
    expect(warned).toHaveLength(here.length);
    expect(Math.max(...warned)).toBeLessThanOrEqual(3_000);
    expect(new Set(warned).size).toBeGreaterThan(here.length / 2);
    expect((await fetch(`${adminUrl}/livez`)).status).toBe(200);
    await eventually(async () => {
      const { socket, welcome } = await connectClient(sticky.url, await signToken());
      socket.disconnect();
      expect(welcome.node).toBe("node-2");
    });
  });

  it("[G8] whoever comes after a drain is handed over by the stop", async () => {
    const { node, url } = await startEmbedded({ env: { DRAIN_SECONDS: "1" } });
    await node.drain();
    const { socket } = await connectClient(url, await signToken(), { reconnection: false });
    const heard: string[] = [];
    socket.on("draining", () => heard.push("draining"));
    socket.on("disconnect", (reason) => heard.push(reason));
    await node.stop();
    await eventually(() => expect(heard).toEqual(["draining", "transport close"]));
  });

  it("[G8] SIGTERM ends with exit code 0; a second one ends at once", async () => {
    const cluster = await startCluster({ nodes: 2, env: { DRAIN_SECONDS: "1" } });
    await connectClient(cluster.urls[0] ?? "", await signToken());
    await cluster.kill(0, "SIGTERM");
    expect(await cluster.node(0).ended).toBe("exit code 0");

    const slow = await startCluster({ nodes: 1, env: { DRAIN_SECONDS: "60" } });
    await connectClient(slow.urls[0] ?? "", await signToken());
    await slow.kill(0, "SIGTERM");
    await eventually(async () => expect(await readiness(slow.adminUrls[0] ?? "")).toBe(503));
    await slow.kill(0, "SIGTERM");
    expect(await slow.node(0).ended).not.toBe("exit code 0");
  });

  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    it.concurrent(`[G8] a rolling restart under load loses nothing, doubles nothing, and nobody seems to leave (${name})`, async () => {
      const cluster = await startCluster({ env: { DRAIN_SECONDS: "2" } });
      const sticky = await startSticky(cluster);
      const members: Member[] = [];
      const left: string[] = [];
      for (let who = 0; who < 9; who++) {
        const socket = stockClient(sticky.url, await signToken({ sub: `u${who}` }), {
          transports: [...transports],
          reconnectionDelay: 50,
          reconnectionDelayMax: 500,
        });
        socket.on("userLeft", ({ user }: ServerEvents["userLeft"]) => left.push(user.id));
        members.push(new Member(socket, ROOM));
        socket.connect();
      }
      await eventually(() => expect(members.every(({ joined }) => joined)).toBe(true), { withinMs: 10_000 });

      let talking = true;
      const sent = members.map(async (member, who) => {
        for (let index = 0; talking; index++) {
          await member.send(`m${who}-${index}`);
          await delay(50);
        }
      });
      for (let node = 0; node < 3; node++) {
        await cluster.restart(node);
        await eventually(() => expect(members.every(({ joined }) => joined)).toBe(true), { withinMs: 10_000 });
      }
      talking = false;
      await Promise.all(sent);

      const end = Math.max(...members.flatMap(({ acked }) => [...acked.values()]));
      await eventually(() => {
        for (const member of members) expect(member.messages.at(-1)?.seq).toBeGreaterThanOrEqual(end);
      });
      expect(left).toEqual([]);
      expect(members.reduce((sum, { recoveries }) => sum + recoveries, 0)).toBeGreaterThanOrEqual(members.length);
      for (const member of members) {
        expect(member.violations).toEqual([]);
        expect(member.runs).toHaveLength(1);
        const ids = member.messages.map(({ id }) => id);
        expect(new Set(ids).size).toBe(ids.length);
      }
    });
  }
});
