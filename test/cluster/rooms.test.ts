import { beforeAll, expect, it } from "vitest";
import { TRANSPORTS } from "../support/client.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { type PrivateRedis, startRedis } from "../support/private-redis.ts";
import { RawPolling } from "../support/raw-polling.ts";
import { keysWith, rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { roomTypesFile } from "../support/room-types.ts";
import { brokenStream, talk } from "../support/stream.ts";
import { signToken } from "../support/token.ts";
import { connectWitness, type Witness } from "../support/witness.ts";

describeWithRedis("joining and leaving", () => {
  let cluster: TestCluster;
  let server: PrivateRedis;
  beforeAll(async () => {
    const types = await roomTypesFile({ small: { maxMembers: 2 } });
    // Its own Redis: it is stopped for a moment where a request must be pending.
    server = await startRedis();
    cluster = await startCluster({
      nodes: 2,
      env: { REDIS_URL: server.url, RATE_LIMITS: "off", ROOM_TYPES: types.path, MAX_ROOMS_PER_CONNECTION: "3" },
    });
    return async () => {
      await cluster.stop();
      await server.stop();
      await types.remove();
    };
  });
  const connect = (node: number, sub: string, options: Parameters<typeof connectWitness>[1] = {}) =>
    connectWitness(cluster.urls[node] ?? "", { claims: { sub }, ...options });

  /** Sends requests of one client while Redis hangs, so that all of them are pending at once; then it goes on. */
  async function whilePending<Result>(member: Witness, request: () => Result): Promise<Result> {
    await server.pause();
    try {
      const result = request();
      // Refused without asking Redis, and after those before it were read.
      expect(await member.socket.emitWithAck("setState", "no object")).toMatchObject({ ok: false });
      return result;
    } finally {
      await server.resume();
    }
  }

  it("[G3] the ack of joinRoom, to the letter", async () => {
    const room = "chat:letter";
    const ada = await connect(0, "ada", { token: await signToken({ sub: "ada", name: "Ada L." }) });
    const first = await ada.ok("joinRoom", { room });
    expect(first).toEqual({
      ok: true,
      room,
      position: { epoch: expect.stringMatching(/^[\w-]+$/), seq: 0, ts: 0 },
      recovered: false,
      messages: [],
      members: [{ id: "ada", name: "Ada L." }],
      memberCount: 1,
      version: 1,
    });
    const before = Date.now();
    const sent = await ada.ok("sendMessage", { room, data: 1 });
    expect(sent).toEqual({
      ok: true,
      id: expect.stringMatching(/./),
      seq: 1,
      ts: expect.any(Number),
      duplicate: false,
    });
    expect(Math.abs(sent.ts - before)).toBeLessThan(5_000);

    const ben = await connect(1, "ben");
    const second = await ben.ok("joinRoom", { room, state: { seat: 1 } });
    expect(second).toEqual({
      ok: true,
      room,
      position: { epoch: first.position.epoch, seq: 1, ts: sent.ts },
      recovered: false,
      messages: [],
      members: [
        { id: "ada", name: "Ada L." },
        { id: "ben", state: { seat: 1 } },
      ],
      memberCount: 2,
      version: 2,
    });
    expect(await ben.ok("leaveRoom", { room })).toEqual({ ok: true });
  });

  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    it(`[G3] no message before the ack of the join, none after the ok of leaveRoom, however busy the room (${name})`, async () => {
      const room = `chat:busy-${transports.join()}`;
      const talker = await connect(0, "talker");
      await talker.ok("joinRoom", { room });
      const talking = talk(talker, room);
      const members = [await connect(0, "near", { transports }), await connect(1, "far", { transports })];
      for (const member of members) {
        for (let round = 0; round < 15; round++) {
          await member.ok("joinRoom", { room });
          const heard = member.of("message", room).length;
          await eventually(() => expect(member.of("message", room).length).toBeGreaterThan(heard + 2));
          if (round % 3 === 0) await Promise.all([member.ask("joinRoom", { room }), member.ok("joinRoom", { room })]);
          await member.ok("leaveRoom", { room });
        }
      }
      const [near, far] = members;
      await near?.ok("joinRoom", { room });
      const count = await talking.stop();
      await eventually(() => expect(near?.of("message", room).at(-1)?.seq).toBe(count));
      for (const member of [talker, near, far]) expect(member && brokenStream(member, room)).toEqual([]);
      expect(talker.of("message", room)).toHaveLength(count);
      for (const { socket } of [talker, ...members]) socket.disconnect();
    });
  }

  it("[G3] joining again is a new reader: each message once, by the newer one", async () => {
    const room = "chat:again";
    const talker = await connect(1, "talker");
    await talker.ok("joinRoom", { room });
    const member = await connect(0, "ada");
    let { position } = await member.ok("joinRoom", { room });
    const talking = talk(talker, room);
    for (let round = 0; round < 15; round++) {
      const since = round % 2 === 0 ? { since: position } : {};
      ({ position } = await member.ok("joinRoom", { room, ...since }));
      await eventually(() => expect(member.of("message", room).at(-1)?.seq).toBeGreaterThan(position.seq + 3));
    }
    const count = await talking.stop();
    await eventually(() => expect(member.of("message", room).at(-1)?.seq).toBe(count));
    // With `since` of the last ack some are given again, by that ack: the stream itself has no double and no hole.
    expect(brokenStream(member, room)).toEqual([]);
    expect((await member.ok("getMembers", { room })).version).toBe(2);
  });

  it("[G3] a newer joinRoom ends the older one: `superseded`, and the newer one's stream only", async () => {
    const room = "chat:newer";
    const talker = await connect(1, "talker");
    const member = await connect(0, "ada");
    for (const one of [talker, member]) await one.ok("joinRoom", { room });
    const answers = await whilePending(member, () => [
      member.ask("joinRoom", { room }),
      member.ask("joinRoom", { room }),
      member.ask("joinRoom", { room }),
    ]);
    const acks = await Promise.all(answers);
    expect(acks.map((ack) => ack.ok)).toEqual([false, false, true]);
    for (const ack of acks) if (!ack.ok) expect(ack.error).toMatchObject({ code: "superseded", retryable: false });
    const { seq } = await talker.ok("sendMessage", { room, data: "once" });
    await talker.ok("sendSignal", { room, event: "fence" });
    await eventually(() => expect(member.of("signal", room)).toHaveLength(1));
    await eventually(() => expect(member.of("message", room).map((message) => message.seq)).toEqual([seq]));
    expect(await member.ok("getMembers", { room })).toMatchObject({ memberCount: 2, version: 2 });
  });

  it("[G3] a join behind the client's own disconnect, in the same payload, is of nobody: the room stays empty", async () => {
    const polling = await RawPolling.connect(cluster.urls[0] ?? "");
    const room = "chat:behind";
    await polling.post(`41\u001e420${JSON.stringify(["joinRoom", { room }])}`);
    const bob = await connect(1, "bob");
    await bob.ok("joinRoom", { room });
    await eventually(async () => expect(await bob.ok("getMembers", { room })).toMatchObject({ memberCount: 1 }));
    await bob.ok("leaveRoom", { room });
    await eventually(async () => {
      const keys = await keysWith(rawRedis(server.url), cluster.prefix);
      expect(keys.filter((key) => key.includes(room) && key.endsWith(":members"))).toEqual([]);
    });
  });

  it("[G3] leaveRoom cancels a pending join, first and repeated ones", async () => {
    for (const [room, times] of [
      ["chat:cancel-first", 0],
      ["chat:cancel-again", 1],
    ] as const) {
      const talker = await connect(1, "talker");
      const neighbour = await connect(0, "neighbour");
      const member = await connect(0, "ada");
      await talker.ok("joinRoom", { room });
      await neighbour.ok("joinRoom", { room });
      for (let time = 0; time < times; time++) await member.ok("joinRoom", { room });
      const [join, leave] = await whilePending(member, () => [
        member.ask("joinRoom", { room }),
        member.ask("leaveRoom", { room }),
      ]);
      expect(await join).toMatchObject({ ok: false, error: { code: "superseded" } });
      expect(await leave).toEqual({ ok: true });
      await eventually(async () => {
        const { members } = await talker.ok("getMembers", { room });
        expect(members.map(({ id }) => id)).toEqual(["talker", "neighbour"]);
      });
      expect((await member.refused("sendMessage", { room, data: 1 })).error.code).toBe("not_in_room");
      await talker.ok("sendMessage", { room, data: 1 });
      await talker.ok("sendSignal", { room, event: "e" });
      // Whoever joins before its node has heard a signal gets it.
      await eventually(() => expect(neighbour.of("signal")).toHaveLength(1));
      // A later join of the same connection works as ever.
      await member.ok("joinRoom", { room });
      await talker.ok("sendMessage", { room, data: 2 });
      await eventually(() => expect(member.of("message", room).map(({ data }) => data)).toEqual([2]));
      expect(member.of("signal")).toEqual([]);
    }
  });

  const FAILING: Record<string, { request: object; code: string; token?: () => Promise<string> }> = {
    "history without the permission": { request: { history: 5 }, code: "forbidden" },
    "a state too large": { request: { state: { text: "x".repeat(5_000) } }, code: "payload_too_large" },
    "a wrong field": { request: { history: -1 }, code: "bad_request" },
  };
  for (const [title, { request, code }] of Object.entries(FAILING)) {
    it(`[G3] a join that is not ok leaves the connection out, also where it was in (${title})`, async () => {
      const room = `chat:fails-${code}`;
      const talker = await connect(1, "talker");
      const claims = { sub: "ada", rooms: { "chat:*": ["join", "send", "signal"] } };
      const member = await connect(0, "ada", { token: await signToken(claims) });
      for (const one of [talker, member]) await one.ok("joinRoom", { room });
      const { error } = await member.refused("joinRoom", { room, ...request });
      expect(error.code).toBe(code);
      expect((await member.refused("sendMessage", { room, data: 1 })).error.code).toBe("not_in_room");
      await eventually(() => expect(talker.of("userLeft", room).map(({ user }) => user.id)).toEqual(["ada"]));
      await talker.ok("sendMessage", { room, data: "nobody hears" });
      await member.ok("joinRoom", { room });
      await talker.ok("sendMessage", { room, data: "heard" });
      await eventually(() => expect(member.of("message", room).map(({ data }) => data)).toEqual(["heard"]));
    });
  }

  it("[G7] a join after a renewed token without the permission fails, and the connection is out", async () => {
    const room = "chat:renew";
    const talker = await connect(1, "talker");
    const member = await connect(0, "ada");
    for (const one of [talker, member]) await one.ok("joinRoom", { room });
    await member.ok("renewToken", { token: await signToken({ sub: "ada", rooms: { "chat:*": ["send", "signal"] } }) });
    expect((await member.refused("joinRoom", { room })).error).toMatchObject({ code: "forbidden" });
    expect((await member.refused("sendMessage", { room, data: 1 })).error.code).toBe("not_in_room");
    await talker.ok("sendMessage", { room, data: "nobody hears" });
    await eventually(() => expect(talker.of("userLeft", room)).toHaveLength(1));
    expect(member.of("message", room)).toEqual([]);
    expect(member.of("removed")).toEqual([{ room, reason: "forbidden" }]);
  });

  it("[G9] a full room says room_full, counts users and not connections, and has room again after a leave", async () => {
    const room = "small:1";
    const [ada, alsoAda, ben, cleo] = await Promise.all(
      ["ada", "ada", "ben", "cleo"].map((sub, index) => connect(index % 2, sub)),
    );
    if (ada === undefined || alsoAda === undefined || ben === undefined || cleo === undefined) throw new Error("four");
    for (const one of [ada, alsoAda, ben, ada]) await one.ok("joinRoom", { room });
    const { error } = await cleo.refused("joinRoom", { room });
    expect(error).toMatchObject({ code: "room_full", retryable: true });
    expect((await cleo.refused("sendMessage", { room, data: 1 })).error.code).toBe("not_in_room");
    expect(await ben.ok("getMembers", { room })).toMatchObject({ memberCount: 2, version: 2 });
    await ada.ok("leaveRoom", { room });
    await cleo.refused("joinRoom", { room });
    await alsoAda.ok("leaveRoom", { room });
    await cleo.ok("joinRoom", { room });
  });

  it("[G9] too_many_rooms counts rooms, not joins, and not those that were left", async () => {
    const member = await connect(0, "ada");
    for (const room of ["chat:1", "chat:2", "chat:3", "chat:3", "chat:1"]) await member.ok("joinRoom", { room });
    const { error } = await member.refused("joinRoom", { room: "chat:4" });
    expect(error).toMatchObject({ code: "too_many_rooms", retryable: false });
    await member.ok("leaveRoom", { room: "chat:2" });
    await member.ok("joinRoom", { room: "chat:4" });
    await member.refused("joinRoom", { room: "chat:2" });
    const redis = rawRedis(server.url);
    const seats = await redis.hkeys(`{${cluster.prefix}#/#chat:2#}:presence`);
    expect(seats).toEqual([]);
    expect((await keysWith(redis, "#chat:4#")).length).toBeGreaterThan(0);
  });

  it("[G9] requests that wait for their answers are bounded, and those within the bound are answered", async () => {
    const member = await connect(0, "ada");
    const answers = await whilePending(member, () =>
      Array.from({ length: 70 }, () => member.ask("getHistory", { room: "chat:pending" })),
    );
    const errors = (await Promise.all(answers)).map((answer) => (answer.ok ? undefined : answer.error));
    expect(errors.slice(0, 64)).toEqual(Array.from({ length: 64 }, () => undefined));
    for (const error of errors.slice(64)) {
      expect(error).toMatchObject({ code: "rate_limited", retryable: true });
      expect(error?.message).toContain("64 requests are under way");
    }
    await member.ok("getHistory", { room: "chat:pending" });
  });

  it("not_in_room after leaving, and the room goes on without", async () => {
    const room = "chat:left";
    const [ada, ben] = [await connect(0, "ada"), await connect(1, "ben")] as [Witness, Witness];
    for (const one of [ada, ben]) await one.ok("joinRoom", { room });
    await ada.ok("leaveRoom", { room });
    for (const name of ["leaveRoom", "sendMessage", "sendSignal", "setState"] as const) {
      const { error } = await ada.refused(name, { room, data: 1, event: "e", state: {} });
      expect(error).toMatchObject({ code: "not_in_room", retryable: false });
      expect(error.message).toContain(room);
    }
    await ben.ok("sendMessage", { room, data: 1 });
    await ben.ok("sendSignal", { room, event: "e" });
    await eventually(() => expect(ben.of("message", room)).toHaveLength(1));
    const back = await ada.ok("joinRoom", { room, history: 10 });
    expect(back.messages.map(({ data }) => data)).toEqual([1]);
    expect(back).toMatchObject({ recovered: false, position: { seq: 1 }, memberCount: 2, version: 4 });
    expect(ada.of("message", room)).toEqual([]);
    expect(ada.of("signal", room)).toEqual([]);
  });
});
