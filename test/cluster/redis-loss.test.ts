import type { Redis } from "ioredis";
import { expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { Member } from "../support/member.ts";
import { type PrivateRedis, startRedis } from "../support/private-redis.ts";
import { rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { keepState } from "../support/rollback.ts";
import { connectWitness, type Witness } from "../support/witness.ts";

const ROOM = "chat:loss";
const USERS = ["ada", "ben", "cleo"];
const SHORT_LEASE_SECONDS = 2;

interface Room {
  readonly server: PrivateRedis;
  readonly cluster: TestCluster;
  readonly redis: Redis;
  readonly insiders: readonly Insider[];
}

interface Insider {
  readonly witness: Witness;
  readonly member: Member;
}

async function enter(cluster: TestCluster, node: number, sub: string): Promise<Insider> {
  const witness = await connectWitness(cluster.urls[node] ?? "", { claims: { sub } });
  const member = new Member(witness.socket, ROOM);
  await eventually(() => expect(member.joined).toBe(true));
  return { witness, member };
}

/** Three members, one on each node, who have all seen so many messages. */
async function startRoom(messages: number, env: Record<string, string> = {}): Promise<Room> {
  const server = await startRedis();
  const cluster = await startCluster({ env: { REDIS_URL: server.url, RATE_LIMITS: "off", ...env } });
  const redis = rawRedis(server.url);
  const insiders: Insider[] = [];
  for (const [node, sub] of USERS.entries()) insiders.push(await enter(cluster, node, sub));
  for (let count = 1; count <= messages; count++) await insiders[0]?.member.send(`m${count}`);
  await haveSeen(insiders, messages);
  return { server, cluster, redis, insiders };
}

const haveSeen = (insiders: readonly Insider[], seq: number) =>
  eventually(() => {
    for (const { member } of insiders) expect(member.messages.at(-1)?.seq ?? 0).toBe(seq);
  });

/** Every one of them was told once that the stream has ended, and is in a newer one. */
const haveBegunAnew = (insiders: readonly Insider[]) =>
  eventually(
    () => {
      for (const { witness, member } of insiders) {
        expect(witness.of("resync")).toEqual([{ room: ROOM, reason: "epoch", withinMs: expect.any(Number) }]);
        expect(witness.of("resync")[0]?.withinMs).toBeGreaterThan(0);
        expect(member.runs).toHaveLength(2);
      }
    },
    { withinMs: 8_000 },
  );

/** Nobody looks before the next message comes. */
async function flushAndSend({ redis, insiders }: Room): Promise<void> {
  await redis.flushall();
  const ack = await insiders[1]?.witness.ok("sendMessage", { room: ROOM, data: "new", id: "m1" });
  expect(ack).toMatchObject({ duplicate: false, seq: 1 });
}

/** All are in one epoch, hear each other, and nobody was given a number twice or after a hole in one epoch. */
async function goOn(insiders: readonly Insider[]): Promise<void> {
  const from = insiders.map(({ member }) => member.messages.length);
  for (const [index, { member }] of insiders.entries()) await member.send(`after-${index}`);
  await eventually(() => {
    for (const [index, { member }] of insiders.entries()) {
      const ids = member.messages.slice(from[index]).map(({ id }) => id);
      expect(ids.filter((id) => id.startsWith("after-"))).toEqual(insiders.map((_, who) => `after-${who}`));
    }
  });
  expect(new Set(insiders.map(({ member }) => member.runs.at(-1)?.epoch)).size).toBe(1);
  for (const { member } of insiders) {
    expect(member.violations).toEqual([]);
    expect(new Set(member.runs.map(({ epoch }) => epoch)).size).toBe(member.runs.length);
  }
}

/** Whoever asks is told that all of them are there. */
async function present(insiders: readonly Insider[]): Promise<void> {
  for (const { witness } of insiders) {
    await eventually(async () => {
      const { members, memberCount } = await witness.ok("getMembers", { room: ROOM });
      expect({ ids: members.map(({ id }) => id).sort(), memberCount }).toEqual({
        ids: USERS,
        memberCount: USERS.length,
      });
    });
  }
}

/** They were shown to come at the start, one after the other, and nothing since. */
function shownOnlyComing(insiders: readonly Insider[]): void {
  for (const [index, { witness }] of insiders.entries()) {
    expect(witness.of("userJoined").map(({ user }) => user.id)).toEqual(USERS.slice(index + 1));
    expect(witness.of("userLeft")).toEqual([]);
  }
}

describeWithRedis("Redis loses what it had", () => {
  /** How, and after how many messages. */
  const LOSSES: Record<string, { messages: number; lose(room: Room): Promise<unknown> }> = {
    "flushed, and found by the next message": { messages: 5, lose: flushAndSend },
    "flushed, and found by a message of the number that was the last one": { messages: 1, lose: flushAndSend },
    "flushed, and found by comparing": { messages: 5, lose: ({ redis }) => redis.flushall() },
    "killed, and back at once without its data": {
      messages: 5,
      lose: async ({ server }) => {
        await server.kill();
        await server.start();
      },
    },
    "killed, and back without its data after a while": {
      messages: 1,
      lose: async ({ server, insiders }) => {
        await server.kill();
        await eventually(() => expect(insiders[0]?.witness.of("stalled")).toHaveLength(1));
        await server.start();
      },
    },
  };
  for (const [how, { messages, lose }] of Object.entries(LOSSES)) {
    it.concurrent(`[G5] everybody is told that the stream has ended, and goes on in a new epoch; nobody is shown leaving or joining who stayed (${how})`, async () => {
      const room = await startRoom(messages);
      await lose(room);
      await haveBegunAnew(room.insiders);
      await present(room.insiders);
      shownOnlyComing(room.insiders);
      await goOn(room.insiders);
      await present(room.insiders);
      shownOnlyComing(room.insiders);
    });
  }

  it.concurrent("[G5] nobody is shown leaving or joining who stayed through three leases without Redis, which comes back empty", async () => {
    const { server, insiders } = await startRoom(1, { LEASE_SECONDS: String(SHORT_LEASE_SECONDS) });
    await server.kill();
    const wentAt = performance.now();
    await eventually(() => expect(performance.now() - wentAt).toBeGreaterThan(3 * SHORT_LEASE_SECONDS * 1_000), {
      withinMs: 4 * SHORT_LEASE_SECONDS * 1_000,
    });
    await server.start();
    await haveBegunAnew(insiders);
    await present(insiders);
    // Until each node has held its lease for a whole one, and has swept what it takes for dead.
    const backAt = performance.now();
    await eventually(() => expect(performance.now() - backAt).toBeGreaterThan(2 * SHORT_LEASE_SECONDS * 1_000));
    await present(insiders);
    shownOnlyComing(insiders);
  });

  it.concurrent("[G5] an empty room's position is lost too: its epoch is another one, and what is sent then arrives", async () => {
    const { redis, insiders } = await startRoom(0);
    const epoch = insiders[0]?.member.runs[0]?.epoch;
    await redis.flushall();
    const { position } = (await insiders[0]?.witness.ok("getHistory", { room: ROOM })) ?? { position: undefined };
    expect(position).toEqual({ epoch: "", seq: 0, ts: 0 });
    await haveBegunAnew(insiders);
    await goOn(insiders);
    expect(insiders[0]?.member.runs.at(-1)?.epoch).not.toBe(epoch);
  });
});

describeWithRedis("Redis loses the end of a log", () => {
  /** Five messages are kept, ten were seen; the loss itself is for the test to bring about. */
  async function startFork() {
    const room = await startRoom(5);
    const kept = await keepState(room.redis, room.cluster.prefix);
    for (let count = 6; count <= 10; count++) await room.insiders[0]?.member.send(`m${count}`);
    await haveSeen(room.insiders, 10);
    const last = room.insiders[0]?.member.messages.at(-1);
    const since = { epoch: room.insiders[0]?.member.runs[0]?.epoch, seq: 10, ts: last?.ts };
    return { ...room, kept, since };
  }

  it.concurrent("[G5] a member who knows more than the log starts a new epoch by sending", async () => {
    const { kept, insiders, since, cluster } = await startFork();
    await kept.restore();
    const ack = await insiders[1]?.witness.ok("sendMessage", { room: ROOM, data: "next", id: "next" });
    expect(ack).toMatchObject({ duplicate: false });
    // Acknowledged once and lost with the log's end: the same id is stored anew.
    const again = await insiders[0]?.witness.ok("sendMessage", { room: ROOM, data: "m9", id: "m9" });
    expect(again).toMatchObject({ duplicate: false });
    await haveBegunAnew(insiders);
    await goOn(insiders);
    await present(insiders);
    shownOnlyComing(insiders);
    const back = await connectWitness(cluster.urls[0] ?? "");
    expect(await back.ok("joinRoom", { room: ROOM, since })).toMatchObject({ recovered: false, messages: [] });
  });

  it.concurrent("[G1] who never had the answer sends again what the new Redis still has: it is stored no second time", async () => {
    const { kept, insiders } = await startFork();
    const before = insiders[0]?.member.messages.find(({ id }) => id === "m3");
    await kept.restore();
    const again = await insiders[0]?.witness.ok("sendMessage", { room: ROOM, data: "m3", id: "m3" });
    expect(again).toMatchObject({ id: "m3", seq: 3, ts: before?.ts, duplicate: true });
    // The fork was found all the same.
    await haveBegunAnew(insiders);
    await goOn(insiders);
    const { messages } = (await insiders[2]?.witness.ok("getHistory", { room: ROOM })) ?? { messages: [] };
    expect(messages.slice(0, 5).map(({ id }) => id)).toEqual(["m1", "m2", "m3", "m4", "m5"]);
    expect(messages.filter(({ id }) => id === "m3")).toHaveLength(1);
  });

  it.concurrent("[G1] an id of an earlier epoch counts only where its message still stands, also where Redis has the entry", async () => {
    const { kept, insiders, redis, cluster } = await startFork();
    const channel = `{${cluster.prefix}#/#${ROOM}#}`;
    const entry = `${channel}:id:u3:ada:m9`;
    const stored = await redis.get(entry);
    expect(stored).toMatch(/ 9 \d+$/);
    await kept.restore();
    await redis.set(entry, stored ?? "");
    await insiders[1]?.witness.ok("sendMessage", { room: ROOM, data: "next", id: "next" });
    const again = await insiders[0]?.witness.ok("sendMessage", { room: ROOM, data: "m9", id: "m9" });
    expect(again).toMatchObject({ duplicate: false });
    await haveBegunAnew(insiders);
    const { messages } = (await insiders[2]?.witness.ok("getHistory", { room: ROOM })) ?? { messages: [] };
    expect(messages.map(({ id }) => id)).toEqual(["m1", "m2", "m3", "m4", "m5", "next", "m9"]);
  });

  it.concurrent("[G5] with the pub/sub connections killed, every feed finds it by comparing", async () => {
    const { kept, insiders, redis } = await startFork();
    await kept.restore();
    await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
    await haveBegunAnew(insiders);
    await goOn(insiders);
    await present(insiders);
    shownOnlyComing(insiders);
  });

  it.concurrent("[G5] also where new messages have grown past the old end before anybody looked", async () => {
    const { kept, cluster, insiders, redis } = await startFork();
    // The first two nodes are asleep when it happens, and the third has only someone who comes after it.
    for (const node of [0, 1]) await cluster.kill(node, "SIGSTOP");
    const [ada, ben, cleo] = insiders;
    if (ada === undefined || ben === undefined || cleo === undefined) throw new Error("three members");
    await cleo.witness.ok("leaveRoom", { room: ROOM });
    cleo.member.stop();
    await eventually(async () => {
      const [, subscribers] = (await redis.call("PUBSUB", "SHARDNUMSUB", `${cluster.prefix}#/#${ROOM}#`)) as unknown[];
      expect(subscribers).toBe(2);
    });
    await kept.restore();
    const newcomer = await enter(cluster, 2, "newcomer");
    expect(newcomer.member.runs[0]?.from).toBe(5);
    for (let count = 6; count <= 12; count++) await newcomer.member.send(`n${count}`);
    await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
    for (const node of [0, 1]) await cluster.kill(node, "SIGCONT");
    await haveBegunAnew([ada, ben, newcomer]);
    await goOn([ada, ben, newcomer]);
    for (const { member } of [ada, ben]) {
      expect(member.runs[0]?.messages.map(({ id }) => id)).toEqual(
        Array.from({ length: 10 }, (_, index) => `m${index + 1}`),
      );
    }
  });

  it.concurrent("[G3] [G5] a since from before the loss is not recovered where the log went another way", async () => {
    const { kept, cluster, insiders, since } = await startFork();
    const tsOf = (seq: number) => insiders[0]?.member.messages.find((message) => message.seq === seq)?.ts;
    for (const { member } of insiders) member.stop();
    await kept.restore();
    const newcomer = await connectWitness(cluster.urls[1] ?? "");
    await newcomer.ok("joinRoom", { room: ROOM });
    for (let count = 6; count <= 12; count++) {
      await newcomer.ok("sendMessage", { room: ROOM, data: count, id: `n${count}` });
      const back = await connectWitness(cluster.urls[2] ?? "");
      const atEnd = await back.ok("joinRoom", { room: ROOM, since });
      expect(atEnd, `after ${count}`).toMatchObject({ recovered: false, messages: [] });
      const between = await back.ok("joinRoom", { room: ROOM, since: { ...since, seq: 7, ts: tsOf(7) } });
      expect(between, `after ${count}`).toMatchObject({ recovered: false, messages: [] });
      back.socket.disconnect();
    }
    // Who had seen no more than what was kept goes on, if nobody had to start a new epoch; a feed that lingers may have, at
    // any time, also before the newcomer came.
    const kept5 = await newcomer.ok("joinRoom", { room: ROOM, since: { ...since, seq: 5, ts: tsOf(5) } });
    const sameEpoch = kept5.position.epoch === since.epoch;
    expect(kept5.recovered).toBe(sameEpoch);
    if (sameEpoch) expect(kept5.messages.map(({ id }) => id)).toEqual(Array.from({ length: 7 }, (_, i) => `n${i + 6}`));
  });

  it.concurrent("[G2] a hole below the log's end is resync, not waiting for ever", async () => {
    const { insiders, redis, cluster } = await startRoom(5);
    const log = `{${cluster.prefix}#/#${ROOM}#}:log`;
    // Nobody hears of the two, and they are nowhere to be read: a log that was damaged.
    for (const node of [0, 1]) await cluster.kill(node, "SIGSTOP");
    await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
    await eventually(() => insiders[2]?.witness.ok("sendMessage", { room: ROOM, data: 6, id: "m6" }));
    await insiders[2]?.witness.ok("sendMessage", { room: ROOM, data: 7, id: "m7" });
    await redis.xdel(log, "6-0");
    await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
    for (const node of [0, 1]) await cluster.kill(node, "SIGCONT");
    const asleep = insiders.slice(0, 2);
    await eventually(
      () => {
        for (const { witness } of asleep) {
          expect(witness.of("resync").map(({ reason }) => reason)).toEqual(["behind"]);
        }
      },
      { withinMs: 8_000 },
    );
    await eventually(() => {
      for (const { member } of asleep) expect(member.runs).toHaveLength(2);
    });
    const { seq } = (await insiders[0]?.witness.ok("sendMessage", { room: ROOM, data: 8 })) ?? { seq: 0 };
    await haveSeen(asleep, seq);
    for (const { member } of insiders) expect(member.violations).toEqual([]);
  });
});
