import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Socket as TcpSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Socket } from "socket.io-client";
import { expect, it } from "vitest";
import { connectClient } from "../support/client.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { Member } from "../support/member.ts";
import { metric } from "../support/metric.ts";
import { describeWithRedis } from "../support/redis.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { signToken } from "../support/token.ts";

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
});
