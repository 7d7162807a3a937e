import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { stockClient, TRANSPORTS } from "../support/client.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { Member } from "../support/member.ts";
import { describeWithRedis } from "../support/redis.ts";
import { startSticky } from "../support/sticky.ts";
import { signToken } from "../support/token.ts";

const MEMBERS = 12;

describeWithRedis("kill -9 of a node under load", () => {
  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    it(`[G1] [G4] every acknowledged message reaches every member once, in order (${name})`, async () => {
      const cluster = await startCluster();
      const sticky = await startSticky(cluster);
      const members: Member[] = [];
      for (let who = 0; who < MEMBERS; who++) {
        const socket = stockClient(sticky.url, await signToken({ sub: `u${who}` }), {
          transports: [...transports],
          reconnectionDelay: 100,
          reconnectionDelayMax: 500,
        });
        members.push(new Member(socket, "chat:death"));
        socket.connect();
      }
      await eventually(() => expect(members.every(({ joined }) => joined)).toBe(true), { withinMs: 10_000 });

      let talking = true;
      const sent = members.map(async (member, who) => {
        const ids: string[] = [];
        for (let index = 0; talking; index++) {
          const id = `m${who}-${index}`;
          await member.send(id);
          ids.push(id);
          await delay(50);
        }
        return ids;
      });
      const heard = () => Math.max(...members.map(({ messages }) => messages.at(-1)?.seq ?? 0));
      await eventually(() => expect(heard()).toBeGreaterThan(50), { withinMs: 10_000 });
      await cluster.kill(1);
      const atDeath = heard();
      await eventually(() => expect(members.every(({ joined }) => joined)).toBe(true), { withinMs: 20_000 });
      await eventually(() => expect(heard()).toBeGreaterThan(atDeath + 50), { withinMs: 20_000 });
      talking = false;
      const acked = (await Promise.all(sent)).flat();

      const end = Math.max(...members.flatMap((member) => [...member.acked.values()]));
      await eventually(() => {
        for (const member of members) expect(member.messages.at(-1)?.seq).toBeGreaterThanOrEqual(end);
      });
      expect(members.some(({ recoveries }) => recoveries > 0)).toBe(true);
      for (const member of members) {
        expect(member.violations).toEqual([]);
        expect(member.runs).toHaveLength(1);
        const ids = member.messages.map(({ id }) => id);
        expect(new Set(ids).size).toBe(ids.length);
        // Members came one after the other, before anybody talked: each has seen it all.
        expect(acked.filter((id) => !ids.includes(id))).toEqual([]);
      }
    });
  }
});
