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
        expect(text).toContain(`roomcast_room_connections{room_type="chat",room="${ROOM}"} ${connections}\n`);
        expect(text).toContain(`roomcast_room_emits_total{room_type="chat",room="${ROOM}"} ${MESSAGES + SIGNALS}\n`);
        expect(text).toContain(`roomcast_emits_total{room_type="chat"} ${MESSAGES + SIGNALS}\n`);
        expect(text).toContain(`roomcast_delivery_delay_seconds_count ${MESSAGES}\n`);
      });
    }
  });
});
