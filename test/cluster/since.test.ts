import { beforeAll, expect, it } from "vitest";
import { TRANSPORTS } from "../support/client.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithRedis } from "../support/redis.ts";
import { roomTypesFile } from "../support/room-types.ts";
import { brokenStream, seqsOf, talk } from "../support/stream.ts";
import { connectWitness, type Witness } from "../support/witness.ts";

/** What one ack may hold at most. */
const PAGE = { messages: 500, bytes: 256 * 1024 };
const KEPT = 5;
const run = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describeWithRedis("joining with since and history", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    const types = await roomTypesFile({
      short: { history: { maxMessages: KEPT } },
      brief: { history: { maxAgeSeconds: 1 } },
    });
    cluster = await startCluster({
      nodes: 2,
      env: { RATE_LIMITS: "off", MAX_PENDING_REQUESTS: "1000", ROOM_TYPES: types.path },
    });
    return async () => {
      await cluster.stop();
      await types.remove();
    };
  });
  const connect = (node: number, options: Parameters<typeof connectWitness>[1] = {}) =>
    connectWitness(cluster.urls[node] ?? "", options);

  /** A talker in the room who has sent so many messages, `seq` being their data too. */
  async function talkerIn(room: string, count: number, text = ""): Promise<Witness> {
    const talker = await connect(0);
    await talker.ok("joinRoom", { room });
    await Promise.all(run(1, count).map((seq) => talker.ok("sendMessage", { room, data: { seq, text } })));
    await eventually(() => expect(talker.of("message", room)).toHaveLength(count));
    return talker;
  }

  it("[G3] recovered: everything after the position, in the ack, and the stream goes on from there", async () => {
    const room = "chat:recovered";
    const talker = await talkerIn(room, 10);
    const heard = talker.of("message", room);
    const { position } = await talker.ok("joinRoom", { room });
    const { epoch } = position;
    const tsOf = (seq: number) => heard[seq - 1]?.ts ?? 0;
    for (const since of [
      { epoch, seq: 4, ts: tsOf(4) },
      { epoch, seq: 4 },
      { epoch, seq: 0, ts: 0 },
      { epoch, seq: 0 },
      { epoch, seq: 9, ts: tsOf(9) },
      { ...position },
      { epoch, seq: 10 },
    ]) {
      const member = await connect(1);
      const ack = await member.ok("joinRoom", { room, since, history: 2 });
      expect(ack).toMatchObject({ recovered: true, position });
      expect(ack.messages).toEqual(heard.slice(since.seq));
      member.socket.disconnect();
    }
  });

  it("[G3] not recovered where the stream cannot go on from there, and then messages are the history only", async () => {
    const room = "chat:lost";
    const talker = await talkerIn(room, 10);
    const { position } = await talker.ok("joinRoom", { room });
    const { epoch, seq, ts } = position;
    const claims = {
      "another epoch": { epoch: `${epoch}x`, seq, ts },
      "no epoch": { epoch: "", seq: 0, ts: 0 },
      "a seq that is not yet": { epoch, seq: seq + 1, ts },
      "a seq of another world": { epoch, seq: Number.MAX_SAFE_INTEGER, ts },
      "another ts at the end": { epoch, seq, ts: ts + 1 },
      "another ts in the middle": { epoch, seq: 5, ts: 1 },
      "another ts at the start": { epoch, seq: 0, ts: 1 },
    };
    for (const [title, since] of Object.entries(claims)) {
      const member = await connect(1);
      const bare = await member.ok("joinRoom", { room, since });
      expect(bare, title).toMatchObject({ recovered: false, position, messages: [] });
      const ack = await member.ok("joinRoom", { room, since, history: 3 });
      expect(ack, title).toMatchObject({ recovered: false, position });
      expect(ack.messages, title).toEqual(talker.of("message", room).slice(-3));
      member.socket.disconnect();
    }
    // A client's claim never starts an epoch: the room goes on as it was.
    expect((await talker.ok("getHistory", { room })).position).toEqual(position);
    const next = await talker.ok("sendMessage", { room, data: 11 });
    expect(next.seq).toBe(11);
    expect(talker.of("resync")).toEqual([]);
  });

  it("[G3] what was trimmed by number is not recovered; what follows the trimmed is", async () => {
    const room = "short:1";
    const talker = await talkerIn(room, 12);
    const { position } = await talker.ok("joinRoom", { room });
    const { epoch, seq } = position;
    const member = await connect(1);
    for (let from = 0; from <= seq; from++) {
      const ack = await member.ok("joinRoom", { room, since: { epoch, seq: from }, history: 2 });
      const reachable = from >= seq - KEPT;
      expect(ack.recovered, `since ${from}`).toBe(reachable);
      expect(ack.messages.map((message) => message.seq)).toEqual(run(reachable ? from + 1 : seq - 1, seq));
      expect(ack.position).toEqual(position);
    }
  });

  it("[G3] what was trimmed by age is not recovered, but who has it all goes on", async () => {
    const room = "brief:1";
    const talker = await talkerIn(room, 3);
    const { position } = await talker.ok("joinRoom", { room });
    await eventually(async () => expect((await talker.ok("getHistory", { room })).messages).toEqual([]));
    const member = await connect(1);
    const behind = await member.ok("joinRoom", { room, since: { epoch: position.epoch, seq: 2 }, history: 5 });
    expect(behind).toMatchObject({ recovered: false, position, messages: [] });
    expect(await member.ok("joinRoom", { room, since: position })).toMatchObject({ recovered: true, position });
    await talker.ok("sendMessage", { room, data: 4 });
    await eventually(() => expect(member.of("message", room).map(({ seq }) => seq)).toEqual([4]));
  });

  it("[G7] since without the history permission is not recovered, and shows nothing", async () => {
    const room = "chat:no-history";
    const talker = await talkerIn(room, 3);
    const { position } = await talker.ok("joinRoom", { room });
    const member = await connect(1, { claims: { rooms: { "chat:*": ["join"] } } });
    for (const since of [position, { epoch: position.epoch, seq: 1 }]) {
      const ack = await member.ok("joinRoom", { room, since });
      expect(ack).toMatchObject({ recovered: false, messages: [], position });
    }
    await talker.ok("sendMessage", { room, data: 4 });
    await eventually(() => expect(member.of("message", room).map(({ seq }) => seq)).toEqual([4]));
  });

  it("history holds the last messages up to the position, oldest first, as many as asked for", async () => {
    const room = "chat:history";
    const talker = await talkerIn(room, 8);
    const member = await connect(1);
    for (const [history, expected] of [
      [0, []],
      [1, run(8, 8)],
      [3, run(6, 8)],
      [8, run(1, 8)],
      [500, run(1, 8)],
    ] as const) {
      const ack = await member.ok("joinRoom", { room, history });
      expect(ack.recovered).toBe(false);
      expect(ack.messages).toEqual(talker.of("message", room).slice(8 - expected.length));
      expect(ack.position.seq).toBe(8);
    }
    const empty = await member.ok("joinRoom", { room: "chat:history-of-nobody", history: 10 });
    expect(empty).toMatchObject({ messages: [], position: { seq: 0, ts: 0 }, recovered: false });
  });

  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    it(`[G3] more than ${PAGE.messages} missed: the first of them in the ack, the rest as messages, under load (${name})`, async () => {
      const room = `chat:many-${transports.join()}`;
      const talker = await talkerIn(room, 700);
      const { epoch } = (await talker.ok("joinRoom", { room })).position;
      const talking = talk(talker, room);
      const members = [await connect(0, { transports }), await connect(1, { transports })];
      for (const member of members) {
        const ack = await member.ok("joinRoom", { room, since: { epoch, seq: 50 } });
        expect(ack.recovered).toBe(true);
        expect(ack.messages.map(({ seq }) => seq)).toEqual(run(51, 550));
        expect(ack.position).toEqual({ epoch, seq: 550, ts: ack.messages.at(-1)?.ts });
        await eventually(() => expect(seqsOf(member, room).at(-1)).toBeGreaterThan(720));
      }
      const end = 700 + (await talking.stop());
      for (const member of members) {
        await eventually(() => expect(seqsOf(member, room)).toEqual(run(51, end)));
        expect(brokenStream(member, room)).toEqual([]);
        member.socket.disconnect();
      }
      talker.socket.disconnect();
    });
  }

  it(`[G3] the ack holds at most ${PAGE.bytes / 1024} KiB of what was missed, and the rest follows`, async () => {
    const room = "chat:large";
    const talker = await talkerIn(room, 20, "x".repeat(60_000));
    const { epoch } = (await talker.ok("joinRoom", { room })).position;
    const member = await connect(1);
    const ack = await member.ok("joinRoom", { room, since: { epoch, seq: 0 } });
    expect(JSON.stringify(ack.messages).length).toBeLessThan(PAGE.bytes);
    expect(ack.messages.map(({ seq }) => seq)).toEqual(run(1, 4));
    await eventually(() => expect(seqsOf(member, room)).toEqual(run(1, 20)));
    expect(brokenStream(member, room)).toEqual([]);
    const history = await member.ok("joinRoom", { room, history: 20 });
    expect(history.messages.map(({ seq }) => seq)).toEqual(run(17, 20));
    expect(history.position.seq).toBe(20);
  });
});
