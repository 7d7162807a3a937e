import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Socket as TcpSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Socket } from "socket.io-client";
import { expect, it } from "vitest";
import type { ServerEvents } from "../../src/protocol.ts";
import { connectClient } from "../support/client.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { Member } from "../support/member.ts";
import { metric } from "../support/metric.ts";
import { PingingSocket } from "../support/pinging-socket.ts";
import { openPolling } from "../support/polling-session.ts";
import { describeWithRedis } from "../support/redis.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { signToken } from "../support/token.ts";
import { connectWitness } from "../support/witness.ts";

const BODY = "x".repeat(60_000);
/** More than the kernel's buffers of a loopback connection take, several times over. */
const MESSAGES = 400;
const MIB = 1024 * 1024;

/** The TCP connection under a stock client's websocket. */
function tcpOf(socket: Socket): TcpSocket {
  const { ws } = socket.io.engine.transport as unknown as { ws: { _socket: TcpSocket } };
  return ws._socket;
}

async function clusterKeeping(maxBytes: number, env: Record<string, string> = {}): Promise<TestCluster> {
  const folder = mkdtempSync(join(tmpdir(), "roomcast-types-"));
  stopsWithTest(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "types.json");
  writeFileSync(file, JSON.stringify({ chat: { history: { maxMessages: 100_000, maxBytes } } }));
  return await startCluster({ nodes: 1, env: { ROOM_TYPES: file, RATE_LIMITS: "off", ...env } });
}

async function member(cluster: TestCluster): Promise<Member> {
  const { socket } = await connectClient(cluster.urls[0] ?? "", await signToken());
  const joined = new Member(socket, "chat:slow");
  await eventually(() => expect(joined.joined).toBe(true));
  return joined;
}

async function talk(talker: Member): Promise<void> {
  for (let index = 0; index < MESSAGES; index++) await talker.send(`m${index}`, BODY);
}

describeWithRedis("a client that stops reading", () => {
  it("[G6] costs no more than its bound, disturbs nobody, and is complete once it reads again", async () => {
    const cluster = await clusterKeeping(256 * MIB);
    const [talker, listener, slow] = [await member(cluster), await member(cluster), await member(cluster)];
    const before = await metric(cluster, "process_resident_memory_bytes");
    tcpOf(slow.socket).pause();
    await talk(talker);
    await eventually(() => expect(listener.messages).toHaveLength(MESSAGES));
    expect(slow.messages.length).toBeLessThan(MESSAGES);
    expect(await metric(cluster, "roomcast_slow_readers_total")).toBe(1);
    await eventually(async () => expect(await metric(cluster, "roomcast_outbound_bytes")).toBeGreaterThan(0));
    // 24 MB went through the room; a node that kept them for one reader would hold them now.
    const held = (await metric(cluster, "process_resident_memory_bytes")) - before;
    expect(held).toBeLessThan(100 * MIB);

    tcpOf(slow.socket).resume();
    await eventually(() => expect(slow.messages).toHaveLength(MESSAGES), { withinMs: 20_000 });
    for (const { violations, runs } of [talker, listener, slow]) {
      expect(violations).toEqual([]);
      expect(runs).toHaveLength(1);
    }
    expect(slow.recoveries).toBe(0);
  });

  it("[G6] is told to resync once the log does not reach back to where it stopped", async () => {
    const cluster = await clusterKeeping(2 * MIB);
    const [talker, slow] = [await member(cluster), await member(cluster)];
    const resyncs: unknown[] = [];
    slow.socket.on("resync", (event) => resyncs.push(event));
    tcpOf(slow.socket).pause();
    await talk(talker);
    tcpOf(slow.socket).resume();
    await eventually(() => expect(resyncs).toHaveLength(1), { withinMs: 20_000 });
    expect(resyncs[0]).toMatchObject({ room: "chat:slow", reason: "behind" });
    await eventually(() => expect(slow.joined).toBe(true));
    const seq = await talker.send("after");
    await eventually(() => expect(slow.messages.at(-1)?.seq).toBe(seq));
    expect(slow.violations).toEqual([]);
    expect(slow.runs).toHaveLength(2);
  });

  it("[G6] that asks for history again and again is not read from, and costs no more than twice its bound", async () => {
    const cluster = await clusterKeeping(256 * MIB);
    const talker = await member(cluster);
    for (let index = 0; index < 20; index++) await talker.send(`m${index}`, BODY);
    const { socket } = await connectClient(cluster.urls[0] ?? "", await signToken());
    const before = await metric(cluster, "process_resident_memory_bytes");
    tcpOf(socket).pause();
    const asked = 400;
    for (let index = 0; index < asked; index++)
      socket.emit("getHistory", { room: "chat:slow", limit: 4 }, () => undefined);
    // The talker's own messages go through the same node meanwhile.
    for (let index = 0; index < 50; index++) await talker.send(`n${index}`, "small");
    expect((await metric(cluster, "process_resident_memory_bytes")) - before).toBeLessThan(100 * MIB);
    await eventually(() => expect(talker.messages).toHaveLength(70));
    expect(talker.violations).toEqual([]);
  });

  it("[G6] [G3] that is back in many rooms at once, and missed much in each, gets in and gets all of it", async () => {
    const bound = 256 * 1024;
    const cluster = await clusterKeeping(256 * MIB, { MAX_OUTBOUND_BYTES: String(bound) });
    const rooms = Array.from({ length: 12 }, (_, index) => `chat:${index}`);
    const talker = await connectWitness(cluster.urls[0] ?? "");
    const places = new Map<string, object>();
    for (const room of rooms) {
      places.set(room, (await talker.ok("joinRoom", { room })).position);
      for (const id of ["a", "b", "c", "d"]) {
        await talker.ok("sendMessage", { room, id, data: BODY.slice(0, 60_000) });
      }
    }
    const back = await connectWitness(cluster.urls[0] ?? "", { transports: ["polling"], reconnection: false });
    const joins = rooms.map((room) => back.ok("joinRoom", { room, since: places.get(room) }));
    const missed = new Map<string, string[]>();
    for (const { room, recovered, messages } of await Promise.all(joins)) {
      expect(recovered).toBe(true);
      missed.set(
        room,
        messages.map(({ id }) => id),
      );
    }
    await eventually(() => {
      for (const room of rooms) {
        const ids = [...(missed.get(room) ?? []), ...back.of("message", room).map(({ id }) => id)];
        expect(ids).toEqual(["a", "b", "c", "d"]);
      }
    });
    expect(back.socket.connected).toBe(true);
  });

  it("[G6] loses signals before messages, and stays connected", async () => {
    const cluster = await clusterKeeping(256 * MIB);
    const [talker, listener, slow] = [await member(cluster), await member(cluster), await member(cluster)];
    const signals = new Map<Member, number>();
    for (const who of [listener, slow]) {
      who.socket.on("signal", () => signals.set(who, (signals.get(who) ?? 0) + 1));
    }
    const { id } = slow.socket;
    tcpOf(slow.socket).pause();
    for (let index = 0; index < MESSAGES; index++) {
      await talker.socket.emitWithAck("sendSignal", { room: "chat:slow", event: "pointer", data: { index, BODY } });
      if (index % 20 === 0) await talker.send(`m${index}`);
    }
    // Somebody comes and goes meanwhile: that is noise too, and what was missed of it is told at the end.
    const left: unknown[] = [];
    listener.socket.on("userLeft", (event) => left.push(event));
    const passer = await member(cluster);
    passer.stop();
    await eventually(() => expect(left).toHaveLength(1));
    await eventually(() => expect(listener.messages).toHaveLength(MESSAGES / 20));
    await eventually(() => expect(signals.get(listener)).toBe(MESSAGES));
    const dropped = await metric(cluster, "roomcast_signals_dropped_total");
    expect(dropped).toBeGreaterThan(0);
    const partial: ServerEvents["presence"][] = [];
    slow.socket.on("presence", (event: ServerEvents["presence"]) => partial.push(event));
    tcpOf(slow.socket).resume();
    await eventually(() => expect(slow.messages).toHaveLength(MESSAGES / 20), { withinMs: 20_000 });
    await eventually(() => expect(signals.get(slow)).toBe(MESSAGES - dropped));
    await eventually(() => expect(partial).toMatchObject([{ room: "chat:slow", memberCount: 3, partial: true }]));
    expect(slow.socket.id).toBe(id);
    expect(slow.violations).toEqual([]);
    expect(slow.runs).toHaveLength(1);
    // Once it reads, it is served as before.
    await talker.socket.emitWithAck("sendSignal", { room: "chat:slow", event: "pointer", data: "small" });
    await eventually(() => expect(signals.get(slow)).toBe(MESSAGES - dropped + 1));
  });

  it("[G6] and sends pings of the websocket without end is closed, though no rate holds: their answers are owed too", async () => {
    const cluster = await clusterKeeping(MIB);
    const greedy = await PingingSocket.connect(cluster.urls[0] ?? "");
    greedy.readNoMore();
    expect(await metric(cluster, "roomcast_connections")).toBe(1);
    await greedy.ping(160_000);
    await eventually(async () => expect(await metric(cluster, "roomcast_connections")).toBe(0), { withinMs: 20_000 });
    await eventually(async () => expect(await metric(cluster, "roomcast_outbound_bytes")).toBe(0));
  });

  it("[G6] that polls no more is not read from, costs no more than twice its bound, and is served once it polls", async () => {
    const cluster = await clusterKeeping(256 * MIB);
    const talker = await member(cluster);
    for (let index = 0; index < 20; index++) await talker.send(`m${index}`, BODY);
    const greedy = await openPolling(cluster.urls[0] ?? "", await signToken());
    const before = await metric(cluster, "process_resident_memory_bytes");
    const ask = (index: number) => greedy.post(`42${index}["getHistory",{"room":"chat:slow","limit":4}]`);
    const owed = () => metric(cluster, "roomcast_outbound_bytes");
    let asked = 0;
    for (; (await owed()) <= MIB; asked++) {
      const due = (asked + 1) * 4 * BODY.length;
      expect(await ask(asked)).toBe(200);
      await eventually(async () => expect(await owed()).toBeGreaterThan(due));
    }
    let answered = false;
    const kept = ask(asked++).finally(() => {
      answered = true;
    });
    // A second one at a time is against Engine.IO's protocol.
    expect(await ask(99)).toBe(400);
    for (let index = 0; index < 50; index++) await talker.send(`n${index}`, "small");
    expect(answered).toBe(false);
    expect(await owed()).toBeLessThan(2 * MIB);
    expect((await metric(cluster, "process_resident_memory_bytes")) - before).toBeLessThan(50 * MIB);
    const acks = new Set<string>();
    while (acks.size < asked) {
      for (const packet of await greedy.poll()) {
        const ack = /^43(\d+)\[\{"ok":true/.exec(packet)?.[1];
        if (ack !== undefined) acks.add(ack);
        if (packet === "2") await greedy.post("3");
      }
    }
    expect(await kept).toBe(200);
    expect(talker.violations).toEqual([]);
  });

  it("[G6] that polls by one TCP connection after the other and reads no answer owes them all, and is served once it reads", async () => {
    // Of answers that the kernel takes whole nothing is owed: these are larger.
    const bound = 8 * MIB;
    const atOnce = 4 * 4 * BODY.length;
    const cluster = await clusterKeeping(256 * MIB, { MAX_OUTBOUND_BYTES: String(bound) });
    const talker = await member(cluster);
    for (let index = 0; index < 20; index++) await talker.send(`m${index}`, BODY);
    const greedy = await openPolling(cluster.urls[0] ?? "", await signToken());
    const page = '["getHistory",{"room":"chat:slow","limit":4}]';
    const ask = (n: number) => greedy.post(...[0, 1, 2, 3].map((index) => `42${4 * n + index}${page}`));
    const owed = () => metric(cluster, "roomcast_outbound_bytes");
    let asked = 0;
    const askFor = async (bytes: number) => {
      for (let now = await owed(); now <= bytes; now = await owed()) {
        expect(await ask(asked++)).toBe(200);
        await eventually(async () => expect(await owed()).toBeGreaterThanOrEqual(now + atOnce));
      }
    };
    await askFor(bound / 2);
    const unread = await greedy.pollUnread();
    // By the next poll what was answered before would be taken for read.
    expect(await ask(asked++)).toBe(200);
    const another = await greedy.pollUnread();
    await eventually(async () => expect(await owed()).toBeLessThan(bound));
    expect(await owed()).toBeGreaterThan(bound / 2);
    await askFor(bound);
    let answered = false;
    const kept = ask(asked++).finally(() => {
      answered = true;
    });
    for (let index = 0; index < 50; index++) await talker.send(`n${index}`, "small");
    expect(answered).toBe(false);
    for (const tcp of [unread, another]) tcp.resume();
    while (!answered) await greedy.poll();
    expect(await kept).toBe(200);
    expect(talker.violations).toEqual([]);
  });

  it("[G6] that polls without reading, and begins anew in the same session, is still owed what it left unread", async () => {
    const bound = 8 * MIB;
    const cluster = await clusterKeeping(256 * MIB, { MAX_OUTBOUND_BYTES: String(bound) });
    const talker = await member(cluster);
    for (let index = 0; index < 20; index++) await talker.send(`m${index}`, BODY);
    const token = await signToken();
    const greedy = await openPolling(cluster.urls[0] ?? "", token);
    const owed = () => metric(cluster, "roomcast_outbound_bytes");
    const ask = async (bytes: number) => {
      const pages = Array.from({ length: Math.ceil(bytes / (4 * BODY.length)) }, (_, index) => index);
      await greedy.post(...pages.map((index) => `42${index}["getHistory",{"room":"chat:slow","limit":4}]`));
    };
    await ask(bound - MIB);
    await eventually(async () => expect(await owed()).toBeGreaterThanOrEqual(bound - MIB));
    await greedy.pollUnread();
    const before = await owed();
    await greedy.post("41");
    await greedy.post(`40${JSON.stringify({ token })}`);
    for (let heard: string[] = []; !heard.some((packet) => packet.startsWith("40{")); ) heard = await greedy.poll();
    // Of the seven before it the kernel may have taken some.
    await ask(2 * MIB);
    await eventually(async () => {
      const now = await owed();
      // Looked at since.
      expect(now).not.toBe(before);
      expect(now).toBeGreaterThan(4 * MIB);
    });
  });
});
