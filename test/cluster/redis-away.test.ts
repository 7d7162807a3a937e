import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import type { RequestName } from "../../src/protocol.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { Member } from "../support/member.ts";
import { type PrivateRedis, startRedis } from "../support/private-redis.ts";
import { rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { connectWitness, type Witness } from "../support/witness.ts";

/** What G5 promises, and what a busy machine may add, in milliseconds. */
const ANSWER_WITHIN_MS = 2_000 + 500;
const STALLED_WITHIN_MS = 2_500 + 500;
const UNREADY_AFTER_MS = 3_000;
const ROOM = "chat:outage";
const LEASE_SECONDS = 2;

/** The ways in which Redis goes and comes back with its data. */
const OUTAGES: Record<string, { go(redis: PrivateRedis): Promise<void>; come(redis: PrivateRedis): Promise<void> }> = {
  "stopped in its tracks": { go: (redis) => redis.pause(), come: (redis) => redis.resume() },
  killed: { go: (redis) => redis.kill(), come: (redis) => redis.start() },
};

const statusOf = async (url: string): Promise<number> => {
  const answer = await fetch(url);
  await answer.arrayBuffer();
  return answer.status;
};
const eachIs = (cluster: TestCluster, path: string, status: number) => async () => {
  for (const url of cluster.adminUrls) expect(await statusOf(`${url}${path}`), path).toBe(status);
};

/** Asks, and fails where the answer takes longer than promised. */
async function timed<Name extends RequestName>(witness: Witness, name: Name, payload: object) {
  const started = performance.now();
  const ack = await witness.ask(name, payload);
  expect(performance.now() - started, name).toBeLessThan(ANSWER_WITHIN_MS);
  return ack.ok ? "ok" : `${ack.error.code}${ack.error.retryable ? ", retryable" : ""}`;
}

describeWithRedis("Redis goes away and comes back with its data", () => {
  for (const [how, { go, come }] of Object.entries(OUTAGES)) {
    it(`[G5] requests are answered unavailable within 2 s, members are told, readiness says no (${how})`, async () => {
      const server = await startRedis({ aof: true });
      const cluster = await startCluster({ nodes: 2, env: { REDIS_URL: server.url, RATE_LIMITS: "off" } });
      const connect = (sub: string, node = 0) => connectWitness(cluster.urls[node] ?? "", { claims: { sub } });
      const member = await connect("member");
      const far = await connect("far", 1);
      const leavers = [await connect("leaver-1"), await connect("leaver-2")];
      const rejoiners = [await connect("rejoiner-1"), await connect("rejoiner-2", 1)];
      const all = [member, far, ...leavers, ...rejoiners];
      for (const witness of all) await witness.ok("joinRoom", { room: ROOM });
      const ids = all.map(({ socket }) => socket.id);

      await go(server);
      const wentAt = Date.now();
      for (const round of [0, 1]) {
        // Right away, when no node knows of it; and again when all do.
        const late = await connect(`late-${round}`, round);
        const leaver = leavers[round] ?? member;
        const rejoiner = rejoiners[round] ?? member;
        const answers = await Promise.all([
          timed(late, "joinRoom", { room: "chat:new" }),
          timed(rejoiner, "joinRoom", { room: ROOM }),
          timed(leaver, "leaveRoom", { room: ROOM }),
          timed(member, "sendMessage", { room: ROOM, data: round, id: `round-${round}` }),
          timed(far, "sendMessage", { room: ROOM, data: round }),
          timed(far, "getHistory", { room: ROOM }),
          timed(late, "getMembers", { room: ROOM }),
          timed(far, "setState", { room: ROOM, state: { round } }),
        ]);
        expect(answers).toEqual(Array.from(answers, () => "unavailable, retryable"));
        if (round === 0) {
          await eventually(
            () => {
              for (const witness of all) expect(witness.of("stalled")).toHaveLength(1);
            },
            { withinMs: STALLED_WITHIN_MS },
          );
          // Nothing could be done for it: not stored, and Redis is known to be away.
          expect(await timed(member, "sendSignal", { room: ROOM, event: "e" })).toBe("unavailable, retryable");
        }
      }
      const { since } = member.of("stalled")[0] ?? { since: 0 };
      expect(Math.abs(since - wentAt)).toBeLessThan(1_500);
      await eventually(eachIs(cluster, "/readyz", 503), { withinMs: UNREADY_AFTER_MS });
      expect(Date.now() - wentAt).toBeGreaterThan(UNREADY_AFTER_MS);
      await eachIs(cluster, "/livez", 200)();
      expect(member.of("restored")).toEqual([]);

      await come(server);
      await eventually(() => {
        for (const witness of all) expect(witness.of("restored")).toEqual([{}]);
      });
      await eventually(eachIs(cluster, "/readyz", 200));
      expect(all.map(({ socket }) => socket.id)).toEqual(ids);
      for (const witness of all) expect(witness.of("stalled")).toHaveLength(1);

      // What was pending then is as it was answered: who left is out, whose join failed is out, and nobody is a ghost.
      const redis = rawRedis(server.url);
      const inside = async () => {
        const users = (await far.ok("getMembers", { room: ROOM })).members.map(({ id }) => id);
        const seats = await redis.hkeys(`{${cluster.prefix}#/#${ROOM}#}:presence`);
        return { users: users.sort(), seats: seats.filter((field) => field.startsWith("c:")).sort() };
      };
      const expected = { users: ["far", "member"], seats: [`c:${far.socket.id}`, `c:${member.socket.id}`].sort() };
      await eventually(async () => expect(await inside()).toEqual(expected));
      for (const room of [ROOM, "chat:new"]) {
        await eventually(async () => {
          const seats = await redis.hkeys(`{${cluster.prefix}#/#${room}#}:presence`);
          expect(seats.filter((field) => field.startsWith("c:")).length).toBe(room === ROOM ? 2 : 0);
        });
      }
      expect((await rejoiners[0]?.refused("sendMessage", { room: ROOM, data: 1 }))?.error.code).toBe("not_in_room");
      // The outcome was unknown; the same id tells it, and the message is there once.
      await member.ok("sendMessage", { room: ROOM, data: 0, id: "round-0" });
      const again = await member.ok("sendMessage", { room: ROOM, data: 0, id: "round-0" });
      expect(again.duplicate).toBe(true);
      await eventually(() => {
        expect(far.of("message").filter(({ id }) => id === "round-0")).toHaveLength(1);
      });
      for (const witness of all) expect(witness.of("resync")).toEqual([]);
    });
  }

  for (const [how, { go, come }] of Object.entries(OUTAGES)) {
    it.concurrent(`[G1] [G5] what is sent through an outage is in the log once, and members miss nothing (${how})`, async () => {
      const server = await startRedis({ aof: true });
      const env = { REDIS_URL: server.url, RATE_LIMITS: "off", LEASE_SECONDS: String(LEASE_SECONDS) };
      const cluster = await startCluster({ env });
      const witnesses: Witness[] = [];
      const members: Member[] = [];
      for (const [index, url] of [...cluster.urls, ...cluster.urls].entries()) {
        const witness = await connectWitness(url, { claims: { sub: `u${index}` } });
        witnesses.push(witness);
        members.push(new Member(witness.socket, ROOM));
        await eventually(() => expect(members[index]?.joined).toBe(true));
      }
      await eventually(() => expect(witnesses[0]?.of("userJoined")).toHaveLength(5));
      const heard = () => Math.min(...members.map(({ messages }) => messages.at(-1)?.seq ?? 0));
      let talking = true;
      const sent = members.map(async (member, who) => {
        const ids: string[] = [];
        for (let index = 0; talking; index++) {
          const id = `m${who}-${index}`;
          await member.send(id);
          ids.push(id);
          await delay(10);
        }
        return ids;
      });
      await eventually(() => expect(heard()).toBeGreaterThan(50));
      await go(server);
      const wentAt = performance.now();
      // Three leases: nobody is swept for it.
      await eventually(() => expect(performance.now() - wentAt).toBeGreaterThan(3 * LEASE_SECONDS * 1_000), {
        withinMs: 4 * LEASE_SECONDS * 1_000,
      });
      const before = heard();
      await come(server);
      await eventually(() => expect(heard()).toBeGreaterThan(before + 50), { withinMs: 10_000 });
      talking = false;
      const acked = (await Promise.all(sent)).flat();
      const end = Math.max(...members.flatMap((member) => [...member.acked.values()]));
      await eventually(() => expect(heard()).toBe(end));

      for (const member of members) {
        expect(member.violations).toEqual([]);
        expect(member.runs).toHaveLength(1);
        expect(member.recoveries).toBe(0);
        expect(member.messages.map(({ id }) => id).sort()).toEqual(acked.toSorted());
        for (const { id, seq } of member.messages) {
          if (member.acked.has(id)) expect(member.acked.get(id)).toBe(seq);
        }
      }
      // Who stayed was never shown to leave or to come.
      for (const [index, witness] of witnesses.entries()) {
        expect(witness.of("userLeft")).toEqual([]);
        expect(witness.of("userJoined")).toHaveLength(witnesses.length - 1 - index);
        expect(witness.of("presence")).toEqual([]);
      }
    });
  }
});
