import { expect, it } from "vitest";
import { connectClient } from "../support/client.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { Member } from "../support/member.ts";
import { describeWithRedis } from "../support/redis.ts";
import { signToken } from "../support/token.ts";

const ROOM = "chat:counted";
const MESSAGES = 5;
const SIGNALS = 3;

describeWithRedis("/metrics", () => {
  it("tells connections and emits of a room as its clients count them, on each node", async () => {
    const cluster = await startCluster({ nodes: 2 });
    const [first = "", second = ""] = cluster.urls;
    const members: Member[] = [];
    const signals: unknown[] = [];
    for (const url of [first, first, second]) {
      const { socket } = await connectClient(url, await signToken());
      socket.on("signal", (event) => signals.push(event));
      members.push(new Member(socket, ROOM));
    }
    await eventually(() => expect(members.every(({ joined }) => joined)).toBe(true));
    const [talker] = members;
    for (let index = 0; index < MESSAGES; index++) await talker?.send(`m${index}`);
    for (let index = 0; index < SIGNALS; index++) {
      await talker?.socket.emitWithAck("sendSignal", { room: ROOM, event: "typing" });
    }
    await eventually(() => {
      expect(signals).toHaveLength(2 * SIGNALS);
      for (const { messages } of members) expect(messages).toHaveLength(MESSAGES);
    });
    for (const [node, connections] of [2, 1].entries()) {
      await eventually(async () => {
        const text = await (await fetch(`${cluster.adminUrls[node]}/metrics`)).text();
        expect(text).toContain(`roomcast_connections ${connections}\n`);
        expect(text).toContain(`roomcast_members ${connections}\n`);
        expect(text).toContain(`roomcast_messages_delivered_total ${MESSAGES * connections}\n`);
        expect(text).toContain(`roomcast_room_connections{room_type="chat",room="${ROOM}"} ${connections}\n`);
        expect(text).toContain(`roomcast_room_emits_total{room_type="chat",room="${ROOM}"} ${MESSAGES + SIGNALS}\n`);
        expect(text).toContain(`roomcast_emits_total{room_type="chat"} ${MESSAGES + SIGNALS}\n`);
        expect(text).toContain(`roomcast_delivery_delay_seconds_count ${MESSAGES * connections}\n`);
      });
    }
  });

  it("tells how connections came and went, and what became of their requests", async () => {
    const cluster = await startCluster({ nodes: 1 });
    const [url = ""] = cluster.urls;
    const { socket } = await connectClient(url, await signToken(), { transports: ["polling"] });
    const member = new Member(socket, ROOM);
    await eventually(() => expect(member.joined).toBe(true));
    await member.send("one");
    const { position } = await socket.emitWithAck("joinRoom", { room: ROOM });
    await socket.emitWithAck("joinRoom", { room: ROOM, since: position });
    await socket.emitWithAck("joinRoom", { room: ROOM, since: { ...position, epoch: "another" } });
    await socket.emitWithAck("getHistory", { room: ROOM });
    await socket.emitWithAck("sendMessage", { room: "chat:elsewhere", data: 1 });
    const { socket: other } = await connectClient(url, await signToken(), { transports: ["websocket"] });
    other.disconnect();
    await eventually(async () => {
      const text = await (await fetch(`${cluster.adminUrls[0]}/metrics`)).text();
      for (const line of [
        'roomcast_transport_connections{transport="polling"} 1',
        'roomcast_transport_connections{transport="websocket"} 0',
        'roomcast_connects_total{transport="websocket"} 1',
        'roomcast_disconnects_total{reason="client_namespace_disconnect"} 1',
        'roomcast_recoveries_total{outcome="recovered"} 1',
        'roomcast_recoveries_total{outcome="reload"} 1',
        'roomcast_requests_total{request="joinRoom"} 4',
        "roomcast_join_duration_seconds_count 4",
        "roomcast_history_duration_seconds_count 1",
        'roomcast_requests_refused_total{request="sendMessage",code="not_in_room"} 1',
        'roomcast_redis_connected{role="subscriber"} 1',
        "roomcast_node_ready 1",
        "roomcast_node_draining 0",
        "roomcast_rooms 1",
      ]) {
        expect(text).toContain(`${line}\n`);
      }
    });
  });

  it("[G9] stays under 1,000 series and 250 KB with 20,000 rooms touched", async () => {
    const [connections, roomsEach] = [20, 1_000];
    const env = { RATE_LIMITS: "off", MAX_ROOMS_PER_CONNECTION: String(roomsEach) };
    const cluster = await startCluster({ nodes: 1, env });
    const scrape = async () => await (await fetch(`${cluster.adminUrls[0]}/metrics`)).text();
    const sockets = await Promise.all(
      Array.from({ length: connections }, async () => await connectClient(cluster.urls[0] ?? "", await signToken())),
    );
    const use = async (who: number, index: number) => {
      const room = `type${index % 500}:${who}-${index}`;
      const { socket } = sockets[who] ?? {};
      expect(await socket?.emitWithAck("joinRoom", { room })).toMatchObject({ ok: true });
      if (index % 10 === 0) await socket?.emitWithAck("sendSignal", { room, event: "touch" });
    };
    for (let index = 0; index < roomsEach; index++) {
      await Promise.all(sockets.map((_, who) => use(who, index)));
      if (index % 100 === 0) await scrape();
    }
    await eventually(async () => {
      const text = await scrape();
      expect(text).toContain(`roomcast_rooms ${connections * roomsEach}\n`);
      expect(text.split("\n").filter((line) => /^\w/.test(line)).length).toBeLessThan(1_000);
      expect(Buffer.byteLength(text)).toBeLessThan(250_000);
      const members = [...text.matchAll(/^roomcast_room_connections\{.*\} (\d+)$/gm)].map(([, count]) => Number(count));
      expect(members.reduce((sum, count) => sum + count, 0)).toBe(connections * roomsEach);
    });
  });
});
