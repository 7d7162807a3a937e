import { beforeAll, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithRedis } from "../support/redis.ts";
import { signToken } from "../support/token.ts";
import { brokenVersions, membersToldTo } from "../support/versions.ts";
import { connectWitness, type Witness } from "../support/witness.ts";

const GRACE_SECONDS = 1;
const CROWD = { above: 8, below: 4 };

describeWithRedis("presence", () => {
  let cluster: TestCluster;
  let patient: TestCluster;
  let crowded: TestCluster;
  beforeAll(async () => {
    const env = { RATE_LIMITS: "off" };
    [cluster, patient, crowded] = await Promise.all([
      startCluster({ env: { ...env, GRACE_SECONDS: String(GRACE_SECONDS) } }),
      // Nobody whose connection is lost is gone within a test here.
      startCluster({ nodes: 2, env: { ...env, GRACE_SECONDS: "600" } }),
      startCluster({
        nodes: 2,
        env: {
          ...env,
          GRACE_SECONDS: "0",
          PRESENCE_EVENTS_UP_TO_MEMBERS: String(CROWD.above),
          PRESENCE_EVENTS_AGAIN_BELOW_MEMBERS: String(CROWD.below),
        },
      }),
    ]);
    return async () => {
      await Promise.all([cluster.stop(), patient.stop(), crowded.stop()]);
    };
  });
  const connect = (where: TestCluster, node: number, sub: string, options: Parameters<typeof connectWitness>[1] = {}) =>
    connectWitness(where.urls[node] ?? "", { claims: { sub }, reconnectionDelay: 50, ...options });
  const enter = async (where: TestCluster, node: number, sub: string, room: string): Promise<Witness> => {
    const witness = await connect(where, node, sub);
    await witness.ok("joinRoom", { room });
    return witness;
  };
  /** The transport goes, as when a train enters a tunnel; the client comes back and joins again, unless it is told not to. */
  function loseConnection({ socket }: Witness, comesBack?: { joins: string; as: Witness }): void {
    if (comesBack === undefined) socket.io.reconnection(false);
    else socket.once("connect", () => comesBack.as.ok("joinRoom", { room: comesBack.joins }).catch(() => undefined));
    socket.io.engine.close();
  }
  const news = ({ seen }: Witness) =>
    seen.filter(({ name }) => ["userJoined", "userLeft", "userUpdated", "presence"].includes(name));

  it("a user joins with the first connection and leaves with the last, over all nodes, told once to all others", async () => {
    const room = "chat:several";
    const ben = await enter(cluster, 0, "ben", room);
    const cleo = await enter(cluster, 2, "cleo", room);
    const ada: Witness[] = [];
    for (const node of [0, 1, 2, 1]) ada.push(await enter(cluster, node, "ada", room));
    for (const [index, one] of ada.entries()) {
      const { members, memberCount, version } = await one.ok("getMembers", { room });
      expect({ members: members.map(({ id }) => id), memberCount, version }).toEqual({
        members: ["ben", "cleo", "ada"],
        memberCount: 3,
        version: 3,
      });
      if (index < ada.length - 1) await one.ok("leaveRoom", { room });
    }
    ada.at(-1)?.socket.disconnect();
    const joined = { name: "userJoined", payload: { room, user: { id: "ada" }, memberCount: 3, version: 3 } };
    const left = { name: "userLeft", payload: { room, user: { id: "ada" }, memberCount: 2, version: 4 } };
    await eventually(() => expect(news(cleo)).toEqual([joined, left]));
    await eventually(() => expect(news(ben).slice(1)).toEqual([joined, left]));
    // Nobody hears of their own coming, nor of a user who is there already.
    for (const one of ada) expect(news(one)).toEqual([]);
  });

  it("leaveRoom and a client's own disconnect have no grace", async () => {
    const room = "chat:no-grace";
    const ben = await enter(patient, 0, "ben", room);
    const leaver = await enter(patient, 1, "leaver", room);
    const quitter = await enter(patient, 1, "quitter", room);
    await leaver.ok("leaveRoom", { room });
    await eventually(() => expect(ben.of("userLeft").map(({ user }) => user.id)).toEqual(["leaver"]));
    quitter.socket.disconnect();
    await eventually(() => expect(ben.of("userLeft").map(({ user }) => user.id)).toEqual(["leaver", "quitter"]));
    expect(ben.of("userLeft").at(-1)).toMatchObject({ memberCount: 1, version: 5 });
  });

  it("a reconnect within the grace, to the same node or another, is neither a leaving nor a joining", async () => {
    const room = "chat:tunnel";
    const ben = await enter(cluster, 0, "ben", room);
    const ada = await enter(cluster, 1, "ada", room);
    const lost = await enter(cluster, 1, "lost", room);
    const mover = await enter(cluster, 1, "mover", room);
    const first = ada.socket.id;
    loseConnection(ada, { joins: room, as: ada });
    loseConnection(mover);
    const moved = await enter(cluster, 2, "mover", room);
    loseConnection(lost);
    await eventually(async () => {
      expect(ada.socket.id).not.toBe(first);
      await ada.ok("setState", { room, state: { back: true } });
    });
    // Who was lost after them leaves when the grace is over: theirs is over too.
    await eventually(() => expect(ben.of("userLeft").map(({ user }) => user.id)).toEqual(["lost"]));
    expect(ben.of("userJoined").map(({ user }) => user.id)).toEqual(["ada", "lost", "mover"]);
    expect(await moved.ok("getMembers", { room })).toMatchObject({
      members: [{ id: "ben" }, { id: "ada", state: { back: true } }, { id: "mover" }],
      memberCount: 3,
      version: 6,
    });
    expect(brokenVersions(ben, room)).toEqual([]);
  });

  it("a connection that is lost for good leaves after the grace, once, and only then", async () => {
    const room = "chat:gone";
    const ben = await enter(cluster, 0, "ben", room);
    const ada = [await enter(cluster, 1, "ada", room), await enter(cluster, 2, "ada", room)];
    const lostAt = performance.now();
    for (const one of ada) loseConnection(one);
    await eventually(() => expect(ben.of("userLeft")).toHaveLength(1));
    const after = performance.now() - lostAt;
    expect(after).toBeGreaterThanOrEqual(GRACE_SECONDS * 1_000);
    expect(after).toBeLessThan(GRACE_SECONDS * 1_000 + 1_500);
    expect(ben.of("userLeft")).toEqual([{ room, user: { id: "ada" }, memberCount: 1, version: 3 }]);
    // It may come again, and that is a joining.
    const again = await enter(cluster, 1, "ada", room);
    await eventually(() => expect(ben.of("userJoined")).toHaveLength(2));
    expect(brokenVersions(ben, room)).toEqual([]);
    expect(news(again)).toEqual([]);
  });

  it("setState replaces the state, tells everybody in the room once, and survives until the user leaves", async () => {
    const room = "chat:state";
    const [ben, ada] = [await enter(cluster, 0, "ben", room), await enter(cluster, 1, "ada", room)];
    const alsoAda = await enter(cluster, 2, "ada", room);
    expect(await ada.ok("setState", { room, state: { seat: 1, hat: "red" } })).toEqual({ ok: true });
    await ada.ok("setState", { room, state: { seat: 1, hat: "red" } });
    await alsoAda.ok("setState", { room, state: { seat: 2 } });
    const updates = [
      { room, user: { id: "ada", state: { seat: 1, hat: "red" } }, version: 3 },
      { room, user: { id: "ada", state: { seat: 2 } }, version: 4 },
    ];
    // The connection that asked hears it too: its ack does not tell the version.
    for (const one of [ben, ada, alsoAda]) await eventually(() => expect(one.of("userUpdated")).toEqual(updates));
    const late = await enter(cluster, 0, "late", room);
    expect((await late.ok("getMembers", { room })).members[1]).toEqual({ id: "ada", state: { seat: 2 } });
    await ada.ok("joinRoom", { room });
    await alsoAda.ok("joinRoom", { room, state: { seat: 3 } });
    await eventually(() =>
      expect(ben.of("userUpdated").at(-1)).toMatchObject({ user: { state: { seat: 3 } }, version: 6 }),
    );
    for (const one of [ada, alsoAda]) await one.ok("leaveRoom", { room });
    await eventually(() => expect(ben.of("userLeft")).toHaveLength(1));
    const again = await enter(cluster, 1, "ada", room);
    expect((await again.ok("getMembers", { room })).members.at(-1)).toEqual({ id: "ada" });
    for (const one of [ben, late]) expect(brokenVersions(one, room)).toEqual([]);
  });

  it("a name that a new token brings is told as userUpdated by the next join", async () => {
    const room = "chat:name";
    const [ben, ada] = [await enter(cluster, 0, "ben", room), await enter(cluster, 1, "ada", room)];
    await ada.ok("renewToken", { token: await signToken({ sub: "ada", name: "Ada L." }) });
    await ada.ok("joinRoom", { room });
    await eventually(() =>
      expect(ben.of("userUpdated")).toEqual([{ room, user: { id: "ada", name: "Ada L." }, version: 3 }]),
    );
    await ada.ok("sendMessage", { room, data: 1 });
    await eventually(() => expect(ben.of("message")[0]?.from).toEqual({ id: "ada", name: "Ada L." }));
  });

  it("version counts by one for every member, however many come, go and change at once", async () => {
    const room = "chat:storm";
    const users = Array.from({ length: 12 }, (_, index) => `u${index}`);
    const watcher = await enter(cluster, 0, "watcher", room);
    const members = await Promise.all(users.map((sub, index) => connect(cluster, index % 3, sub)));
    await Promise.all(
      members.map(async (member, index) => {
        for (let round = 0; round < 15; round++) {
          await member.ok("joinRoom", { room, state: { round } });
          if (round % 3 === index % 3) await member.ok("setState", { room, state: { round, more: true } });
          if (round % 4 === 0) await member.ok("joinRoom", { room });
          await member.ok("leaveRoom", { room });
        }
        if (index % 2 === 0) await member.ok("joinRoom", { room });
      }),
    );
    const expected = ["watcher", ...users.filter((_, index) => index % 2 === 0)].sort();
    const inside = [watcher, ...members.filter((_, index) => index % 2 === 0)];
    for (const member of inside) {
      await eventually(() =>
        expect(membersToldTo(member, room)).toEqual({ ids: expected, memberCount: expected.length }),
      );
    }
    for (const member of [watcher, ...members]) expect(brokenVersions(member, room)).toEqual([]);
    const { members: listed, memberCount } = await watcher.ok("getMembers", { room });
    expect({ ids: listed.map(({ id }) => id).sort(), memberCount }).toEqual({
      ids: expected,
      memberCount: expected.length,
    });
    for (const { socket } of [watcher, ...members]) socket.disconnect();
  });

  it("past so many members a room tells its comings and goings once a second, and singly again below", async () => {
    const room = "chat:crowd";
    const watcher = await connect(crowded, 0, "watcher");
    const digestsAt: number[] = [];
    watcher.socket.on("presence", () => digestsAt.push(performance.now()));
    await watcher.ok("joinRoom", { room });
    const users = Array.from({ length: 19 }, (_, index) => `u${String(index).padStart(2, "0")}`);
    const members: Witness[] = [];
    for (const [index, sub] of users.entries()) members.push(await enter(crowded, index % 2, sub, room));
    // Who comes and goes within the second is no news.
    const passer = await enter(crowded, 1, "passer", room);
    await passer.ok("leaveRoom", { room });
    await eventually(() => {
      expect(membersToldTo(watcher, room)).toEqual({ ids: [...users, "watcher"].sort(), memberCount: 20 });
      expect(watcher.of("presence").at(-1)?.version).toBe(22);
    });
    // With the watcher 8 members: so many are told one by one.
    expect(watcher.of("userJoined").map(({ user }) => user.id)).toEqual(users.slice(0, CROWD.above - 1));
    expect(
      watcher
        .of("presence")
        .flatMap(({ joined }) => joined.map(({ id }) => id))
        .sort(),
    ).toEqual(users.slice(CROWD.above - 1));
    for (const digest of watcher.of("presence")) {
      expect(Object.keys(digest).sort()).toEqual(["joined", "left", "memberCount", "room", "version"]);
    }

    // Updates are told singly all the same, and nobody has to think that a change was missed.
    await members[0]?.ok("leaveRoom", { room });
    await members[3]?.ok("setState", { room, state: { hand: "up" } });
    await members[1]?.ok("leaveRoom", { room });
    await eventually(() => {
      expect(watcher.of("userUpdated").map(({ user }) => user)).toEqual([{ id: "u03", state: { hand: "up" } }]);
      expect(membersToldTo(watcher, room)).toEqual({ ids: [...users.slice(2), "watcher"].sort(), memberCount: 18 });
    });
    expect(watcher.of("userLeft")).toEqual([]);

    const [last, ...rest] = members.slice(2).toReversed();
    for (const member of rest) await member.ok("leaveRoom", { room });
    await eventually(() => {
      expect(membersToldTo(watcher, room)).toEqual({ ids: [users.at(-1), "watcher"], memberCount: 2 });
    });
    await last?.ok("leaveRoom", { room });
    const next = await enter(crowded, 1, "next", room);
    await eventually(() => {
      expect(watcher.of("userLeft").at(-1)?.user.id).toBe(users.at(-1));
      expect(watcher.of("userJoined").at(-1)?.user.id).toBe("next");
    });
    for (const member of [watcher, next]) expect(brokenVersions(member, room)).toEqual([]);
    for (const [index, at] of digestsAt.entries()) {
      // The last digest, on the way back to single events, does not wait for its second.
      if (index > 0 && index < digestsAt.length - 1) expect(at - (digestsAt[index - 1] ?? 0)).toBeGreaterThan(900);
    }
  });

  it("[G9] a digest holds at most 50 names each, and says where it is partial", async () => {
    const room = "chat:rush";
    const watcher = await enter(crowded, 0, "watcher", room);
    const members = await Promise.all(
      Array.from({ length: 75 }, (_, index) => connect(crowded, index % 2, `u${index}`)),
    );
    await Promise.all(members.map((member) => member.ok("joinRoom", { room })));
    await eventually(() => expect(watcher.of("presence").at(-1)?.memberCount).toBe(76));
    const joined = watcher.of("presence").filter((digest) => digest.joined.length > 0);
    expect(Math.max(...joined.map((digest) => digest.joined.length))).toBe(50);
    for (const digest of joined) expect(digest.partial ?? false).toBe(digest.joined.length === 50);
    for (const { socket } of members) socket.disconnect();
    await eventually(() => expect(membersToldTo(watcher, room).memberCount).toBe(1));
    for (const digest of watcher.of("presence")) expect(digest.left.length).toBeLessThanOrEqual(50);
    expect(brokenVersions(watcher, room)).toEqual([]);
  });

  it("getMembers pages through more than 100 members, each once, in the order of their coming", async () => {
    const room = "chat:many";
    const users = Array.from({ length: 130 }, (_, index) => `u${index}`);
    const members: Witness[] = [];
    for (const [index, sub] of users.entries()) members.push(await enter(patient, index % 2, sub, room));
    const late = await connect(patient, 1, "late");
    const ack = await late.ok("joinRoom", { room });
    expect(ack).toMatchObject({ memberCount: 131, version: 131 });
    expect(ack.members.map(({ id }) => id)).toEqual(users.slice(0, 100));
    expect(typeof ack.cursor).toBe("string");
    const rest = await late.ok("getMembers", { room, cursor: ack.cursor });
    expect(rest).toEqual({
      ok: true,
      members: [...users.slice(100), "late"].map((id) => ({ id })),
      memberCount: 131,
      version: 131,
    });

    // Somebody of a page that was read leaves, somebody comes: nobody else is passed over or given twice.
    const read: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await late.ok("getMembers", { room, limit: 7, ...(cursor === undefined ? {} : { cursor }) });
      expect(page.members.length).toBeLessThanOrEqual(7);
      read.push(...page.members.map(({ id }) => id));
      cursor = page.cursor;
      if (read.length === 14) {
        await members[3]?.ok("leaveRoom", { room });
        await members[3]?.ok("joinRoom", { room });
      }
    } while (cursor !== undefined);
    expect(read).toEqual([...users, "late", "u3"]);
    for (const { socket } of members) socket.disconnect();
  });
});
