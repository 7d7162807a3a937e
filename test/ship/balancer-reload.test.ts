import { Agent } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { stockClient, TRANSPORTS } from "../support/client.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { findHaproxy, startHaproxy } from "../support/haproxy.ts";
import { Member } from "../support/member.ts";
import { describeWithRedis } from "../support/redis.ts";
import { REDIS_URL } from "../support/run-redis.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { signToken } from "../support/token.ts";

const MEMBERS_OF_EACH = 3;
const PAUSE_MS = 50;
const MESSAGES_AFTER = 100;

const haproxy = REDIS_URL === undefined ? undefined : await findHaproxy();

describeWithRedis("a reload of HAProxy with the file of deploy/", () => {
  const title = "leaves every session where it is: websockets with the old process, polling ones by the table";
  if (haproxy === undefined) {
    it.skip(`${title} (skipped: no haproxy on the PATH, no apt-get download)`, () => undefined);
    return;
  }
  it(title, async () => {
    const cluster = await startCluster();
    const balancer = await startHaproxy(haproxy, cluster);
    const lost: string[] = [];
    // As browsers poll, over connections that are kept. The client takes an agent, though its types do not say so.
    const keepingConnections = () => {
      const kept = new Agent({ keepAlive: true });
      stopsWithTest(() => kept.destroy());
      return kept;
    };
    const kept = keepingConnections();
    const enter = async (who: string, transports: readonly ("websocket" | "polling")[], by: Agent) => {
      const agent = by as unknown as string;
      const socket = stockClient(balancer.url, await signToken({ sub: who }), { transports: [...transports], agent });
      socket.on("disconnect", (reason) => lost.push(`${who}: ${reason}`));
      const member = new Member(socket, "chat:reloaded");
      socket.connect();
      return member;
    };
    const members: Member[] = [];
    for (const [how, transports] of Object.entries(TRANSPORTS)) {
      for (let index = 0; index < MEMBERS_OF_EACH; index++)
        members.push(await enter(`${how} ${index}`, transports, kept));
    }
    await eventually(() => expect(members.every(({ joined }) => joined)).toBe(true));

    let talking = true;
    const talk = members.map(async (member, who) => {
      for (let index = 0; talking; index++) {
        await member.send(`m${who}-${index}`);
        await delay(PAUSE_MS);
      }
    });
    await balancer.reload();
    const heard = () => Math.min(...members.map(({ messages }) => messages.length));
    const before = heard();
    await eventually(() => expect(heard()).toBeGreaterThan(before + MESSAGES_AFTER));
    // Who comes now is served by the new process, in the same rooms; by the others' connections it might be the old one.
    const late = await enter("late", ["polling"], keepingConnections());
    await eventually(() => expect(late.joined).toBe(true));
    talking = false;
    await Promise.all(talk);
    expect(lost).toEqual([]);
    for (const { violations, runs } of members) expect([violations, runs.length]).toEqual([[], 1]);
  });
});
