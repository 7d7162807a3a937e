import { expect, it } from "vitest";
import { connectClient, TRANSPORTS } from "../support/client.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { Member } from "../support/member.ts";
import { describeWithRedis } from "../support/redis.ts";
import { signToken } from "../support/token.ts";

const MESSAGES_EACH = 40;

describeWithRedis("three nodes, one room", () => {
  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    it(`[G2] members on every node, the senders too, see the same messages in the same order (${name})`, async () => {
      const cluster = await startCluster({ env: { RATE_LIMITS: "off" } });
      const members: Member[] = [];
      for (const [index, url] of [...cluster.urls, ...cluster.urls].entries()) {
        const { socket } = await connectClient(url, await signToken({ sub: `u${index}` }), { transports });
        members.push(new Member(socket, "chat:order"));
      }
      await eventually(() => expect(members.every(({ joined }) => joined)).toBe(true));

      // Everybody talks at once: the order is decided in Redis, not by who is near.
      await Promise.all(
        members.flatMap((member, who) =>
          Array.from({ length: MESSAGES_EACH }, (_, index) => member.send(`m${who}-${index}`)),
        ),
      );

      const total = members.length * MESSAGES_EACH;
      await eventually(() => {
        for (const member of members) expect(member.messages.length).toBeGreaterThanOrEqual(total);
      });
      const ids = members.map(({ messages }) => messages.map(({ id }) => id));
      for (const seen of ids) expect(seen).toEqual(ids[0]);
      expect(new Set(ids[0]).size).toBe(total);
      for (const [who, member] of members.entries()) {
        expect(member.violations).toEqual([]);
        for (const { id, seq } of member.messages) {
          if (member.acked.has(id)) expect(member.acked.get(id)).toBe(seq);
        }
        const own = member.messages.filter(({ from }) => from.id === `u${who}`).map(({ id }) => id);
        expect(own).toEqual(Array.from({ length: MESSAGES_EACH }, (_, index) => `m${who}-${index}`));
      }
    });
  }

  it("[G3] the ack of joinRoom comes before the first message, on a room that is busy", async () => {
    const cluster = await startCluster({ env: { RATE_LIMITS: "off" } });
    const talker = new Member((await connectClient(cluster.urls[0] ?? "", await signToken())).socket, "chat:busy");
    await eventually(() => expect(talker.joined).toBe(true));
    let talking = true;
    const talk = (async () => {
      for (let index = 0; talking; index++) {
        await Promise.all([talker.send(`a${index}`), talker.send(`b${index}`), talker.send(`c${index}`)]);
      }
    })();

    const joiners: Member[] = [];
    for (let round = 0; round < 20; round++) {
      for (const transports of Object.values(TRANSPORTS)) {
        const url = cluster.urls[round % cluster.urls.length] ?? "";
        joiners.push(new Member((await connectClient(url, await signToken(), { transports })).socket, "chat:busy"));
      }
    }
    await eventually(() => {
      for (const joiner of joiners) expect(joiner.messages.length).toBeGreaterThan(20);
    });
    talking = false;
    await talk;
    const end = talker.messages.length === 0 ? 0 : Math.max(...talker.acked.values());
    await eventually(() => {
      for (const member of [talker, ...joiners]) expect(member.messages.at(-1)?.seq).toBe(end);
    });
    for (const member of [talker, ...joiners]) {
      expect(member.violations).toEqual([]);
      expect(member.runs).toHaveLength(1);
    }
  });
});
