import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { keysOfRooms, rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { connectWitness, type Witness } from "../support/witness.ts";

const run = (from: number, to: number) =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);

describeWithRedis("messages and their history", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 2, env: { RATE_LIMITS: "off", DEDUPE_SECONDS: "2" } });
    return () => cluster.stop();
  });
  const connect = async (node: number, sub: string, room?: string): Promise<Witness> => {
    const witness = await connectWitness(cluster.urls[node] ?? "", { claims: { sub } });
    if (room !== undefined) await witness.ok("joinRoom", { room });
    return witness;
  };

  it("[G1] the same id of the same user is stored once, whatever its data and wherever it is sent again", async () => {
    const room = "chat:once";
    const here = await connect(0, "ada", room);
    const there = await connect(1, "ada", room);
    const first = await here.ok("sendMessage", { room, id: "k", data: "first", event: "note" });
    expect(first).toEqual({ ok: true, id: "k", seq: 1, ts: first.ts, duplicate: false });
    for (const witness of [here, there]) {
      const again = await witness.ok("sendMessage", { room, id: "k", data: "second" });
      expect(again).toEqual({ ok: true, id: "k", seq: 1, ts: first.ts, duplicate: true });
    }
    const both = await Promise.all(
      [here, there, here, there].map((witness) => witness.ok("sendMessage", { room, id: "race", data: 1 })),
    );
    expect(new Set(both.map(({ seq }) => seq))).toEqual(new Set([2]));
    expect(both.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    expect((await here.ok("sendMessage", { room, id: "next", data: 1 })).seq).toBe(3);
    await eventually(() => {
      for (const witness of [here, there]) {
        expect(witness.of("message").map(({ id, data }) => [id, data])).toEqual([
          ["k", "first"],
          ["race", 1],
          ["next", 1],
        ]);
      }
    });
    expect(here.of("message")[0]).toEqual({
      room,
      seq: 1,
      id: "k",
      ts: first.ts,
      from: { id: "ada" },
      event: "note",
      data: "first",
    });
  });

  it("[G1] ids of other users, in other rooms, or that only look alike are not the same", async () => {
    const pairs = [
      ["a", "b:k1"],
      ["a:b", "k1"],
      ["a", "k1"],
      ["k1", "a"],
      ["1:a", "k1"],
      ["a", "1:a:k1"],
      ["a:", "k1"],
      ["a", ":k1"],
      ["é", "k1"],
      ["e\u0301", "k1"],
      ["A", "k1"],
      ["a", "k1 "],
      ["a\u0000", "k1"],
      ["a", "\u0000k1"],
    ] as const;
    const users = new Map<string, Witness>();
    for (const [user] of pairs) users.set(user, users.get(user) ?? (await connect(users.size % 2, user)));
    for (const room of ["chat:alike", "chat:alike:a"]) {
      for (const witness of users.values()) await witness.ok("joinRoom", { room });
      for (const [index, [user, id]] of pairs.entries()) {
        const ack = await users.get(user)?.ok("sendMessage", { room, id, data: index });
        expect(ack, `${user} ${id}`).toMatchObject({ seq: index + 1, duplicate: false });
      }
      for (const [index, [user, id]] of pairs.entries()) {
        const ack = await users.get(user)?.ok("sendMessage", { room, id, data: "again" });
        expect(ack, `${user} ${id}`).toMatchObject({ seq: index + 1, duplicate: true });
      }
    }
    for (const { socket } of users.values()) socket.disconnect();
  });

  it("[G1] an id is remembered for the window that welcome tells, and no longer", async () => {
    const room = "chat:window";
    const ada = await connect(0, "ada", room);
    const { ts } = await ada.ok("sendMessage", { room, id: "k", data: 1 });
    expect((await ada.ok("sendMessage", { room, id: "k", data: 1 })).duplicate).toBe(true);
    await eventually(async () => {
      const again = await ada.ok("sendMessage", { room, id: "k", data: 1 });
      expect(again).toMatchObject({ duplicate: false, seq: 2 });
      expect(again.ts - ts).toBeGreaterThanOrEqual(2_000);
    });
  });

  it("[G2] one connection's messages are stored in the order sent, and ts never runs backwards", async () => {
    const room = "chat:order";
    const ada = await connect(0, "ada", room);
    const acks = await Promise.all(run(1, 60).map((data) => ada.ok("sendMessage", { room, data })));
    expect(acks.map(({ seq }) => seq)).toEqual(run(1, 60));
    const { messages } = await ada.ok("getHistory", { room, limit: 100 });
    expect(messages.map(({ data }) => data)).toEqual(run(1, 60));
    expect(messages.map(({ ts }) => ts)).toEqual(messages.map(({ ts }) => ts).toSorted((a, b) => a - b));
  });

  it("getHistory: before and after are exclusive, oldest first, with position and more", async () => {
    const room = "chat:pages";
    const ada = await connect(0, "ada", room);
    await Promise.all(run(1, 60).map((data) => ada.ok("sendMessage", { room, data })));
    await eventually(() => expect(ada.of("message")).toHaveLength(60));
    const all = ada.of("message");
    const { position } = await ada.ok("joinRoom", { room });
    // Who only reads need not be in the room.
    const reader = await connect(1, "ben");
    const cases: readonly (readonly [query: object, seqs: number[], more: boolean])[] = [
      [{}, run(11, 60), true],
      [{ limit: 60 }, run(1, 60), false],
      [{ limit: 500 }, run(1, 60), false],
      [{ limit: 1 }, [60], true],
      [{ before: 60 }, run(10, 59), true],
      [{ before: 11, limit: 10 }, run(1, 10), false],
      [{ before: 12, limit: 10 }, run(2, 11), true],
      [{ before: 1 }, [], false],
      [{ before: 61, limit: 2 }, [59, 60], true],
      [{ before: 1_000_000, limit: 2 }, [59, 60], true],
      [{ after: 0 }, run(1, 50), true],
      [{ after: 10 }, run(11, 60), false],
      [{ after: 9, limit: 50 }, run(10, 59), true],
      [{ after: 59 }, [60], false],
      [{ after: 60 }, [], false],
      [{ after: 1_000_000 }, [], false],
    ];
    for (const [query, seqs, more] of cases) {
      const page = await reader.ok("getHistory", { room, ...query });
      const title = JSON.stringify(query);
      expect(Object.keys(page).sort(), title).toEqual(["messages", "more", "ok", "position"]);
      expect(page.messages, title).toEqual(all.filter(({ seq }) => seqs.includes(seq)));
      expect(page, title).toMatchObject({ more, position });
    }
    // Page after page, both ways, is everything once.
    const forward: number[] = [];
    for (let after = 0, more = true; more; after = forward.at(-1) ?? 0) {
      const page = await reader.ok("getHistory", { room, after, limit: 7 });
      forward.push(...page.messages.map(({ seq }) => seq));
      more = page.more;
    }
    expect(forward).toEqual(run(1, 60));
    const back: number[] = [];
    for (let before = 61, more = true; more; before = back[0] ?? 0) {
      const page = await reader.ok("getHistory", { room, before, limit: 7 });
      back.unshift(...page.messages.map(({ seq }) => seq));
      more = page.more;
    }
    expect(back).toEqual(run(1, 60));
    expect(reader.of("message")).toEqual([]);
  });

  it("[G9] a page of history has a bound in bytes too, and says that there is more", async () => {
    const room = "chat:large";
    const ada = await connect(0, "ada", room);
    for (const seq of run(1, 8)) await ada.ok("sendMessage", { room, data: `${seq}`.repeat(60_000) });
    const last = await ada.ok("getHistory", { room, limit: 500 });
    expect(last.messages.map(({ seq }) => seq)).toEqual(run(5, 8));
    expect(last.more).toBe(true);
    const first = await ada.ok("getHistory", { room, limit: 500, after: 0 });
    expect(first.messages.map(({ seq }) => seq)).toEqual(run(1, 4));
    expect(first.more).toBe(true);
  });

  it("reading a room that nobody ever used makes no key, and answers that it is empty", async () => {
    const redis = rawRedis();
    const room = "chat:never-used";
    const before = await keysOfRooms(redis, cluster.prefix);
    const reader = await connect(1, "ben");
    for (const query of [{}, { before: 5 }, { after: 5 }]) {
      expect(await reader.ok("getHistory", { room, ...query })).toEqual({
        ok: true,
        messages: [],
        position: { epoch: "", seq: 0, ts: 0 },
        more: false,
      });
    }
    expect(await reader.ok("getMembers", { room })).toEqual({ ok: true, members: [], memberCount: 0, version: 0 });
    await reader.refused("getMembers", { room, cursor: "x" });
    expect(await keysOfRooms(redis, cluster.prefix)).toEqual(before);
  });
});

describeWithRedis("[G9] limits of one connection", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    const rates = ["JOIN", "SEND", "SIGNAL", "READ", "STATE"].flatMap((kind) => [
      [`RATE_${kind}_PER_SECOND`, "5"],
      [`RATE_${kind}_BURST`, "3"],
    ]);
    cluster = await startCluster({ nodes: 1, env: Object.fromEntries(rates) });
    return () => cluster.stop();
  });

  it("each kind of request has a budget of its own; past it rate_limited says when to come again", async () => {
    const room = "chat:rates";
    const ada = await connectWitness(cluster.urls[0] ?? "", { claims: { sub: "ada" } });
    const ben = await connectWitness(cluster.urls[0] ?? "", { claims: { sub: "ben" } });
    for (const witness of [ada, ben]) await witness.ok("joinRoom", { room });
    const requests = {
      sendMessage: { room, data: 1 },
      sendSignal: { room, event: "e" },
      setState: { room, state: { n: 1 } },
      getHistory: { room },
      joinRoom: { room: "chat:other" },
    } as const;
    for (const [name, payload] of Object.entries(requests) as [keyof typeof requests, object][]) {
      const answers = [];
      for (let count = 0; count < 6; count++) answers.push(await ada.ask(name, payload));
      const refused = answers.flatMap((answer) => (answer.ok ? [] : [answer.error]));
      expect(answers[0]?.ok, name).toBe(true);
      expect(refused.length, name).toBeGreaterThanOrEqual(2);
      for (const error of refused) expect(error, name).toMatchObject({ code: "rate_limited", retryable: true });
      // Five a second: each of them is told a moment of its own.
      const waits = refused.map(({ retryAfterMs = 0 }) => retryAfterMs);
      for (const [index, wait] of waits.entries()) {
        expect(wait, name).toBeGreaterThan(0);
        expect(wait, name).toBeLessThanOrEqual(200 * (index + 1));
      }
      const wait = waits.at(-1) ?? 0;
      await delay(wait + 5);
      await ada.ok(name, payload);
      // Nobody else pays for it.
      await ben.ok(name, payload);
    }
    const accepted = ada.seen.filter(
      ({ name, payload }) => name === "ack sendMessage" && (payload as { ok: boolean }).ok,
    );
    await eventually(() => expect(ada.of("message", room)).toHaveLength(accepted.length + 1));
  });
});
