import { describe, expect, it } from "vitest";
import { connectClient, TRANSPORTS } from "../support/client.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { Member } from "../support/member.ts";
import { openPolling } from "../support/polling-session.ts";
import { signToken } from "../support/token.ts";
import { connectWitness } from "../support/witness.ts";

const ROOM = "chat:memory";

describe("one node without Redis", () => {
  it("[G2] serves rooms, messages, signals, presence and history from memory", async () => {
    const cluster = await startCluster({ nodes: 1, env: { REDIS_URL: "memory:", RATE_LIMITS: "off" } });
    const members: Member[] = [];
    const heard: string[] = [];
    for (const [index, transports] of Object.values(TRANSPORTS).entries()) {
      const { socket } = await connectClient(cluster.urls[0] ?? "", await signToken({ sub: `u${index}` }), {
        transports,
      });
      socket.on("signal", ({ from }: { from: { id: string } }) => heard.push(`u${index} signal ${from.id}`));
      socket.on("userJoined", ({ user }: { user: { id: string } }) => heard.push(`u${index} joined ${user.id}`));
      socket.on("userLeft", ({ user }: { user: { id: string } }) => heard.push(`u${index} left ${user.id}`));
      const member = new Member(socket, ROOM);
      await eventually(() => expect(member.joined).toBe(true));
      members.push(member);
    }
    const [first, second, third] = members;
    await Promise.all(members.flatMap((member, who) => [0, 1, 2, 3].map((n) => member.send(`m${who}-${n}`))));
    await eventually(() => {
      for (const { messages } of members) expect(messages).toHaveLength(12);
    });
    const ids = members.map(({ messages }) => messages.map(({ id }) => id));
    for (const seen of ids) expect(seen).toEqual(ids[0]);
    const history = await first?.socket.emitWithAck("getHistory", { room: ROOM });
    expect(history.messages.map(({ id }: { id: string }) => id)).toEqual(ids[0]);

    expect(await first?.socket.emitWithAck("sendSignal", { room: ROOM, event: "typing" })).toEqual({ ok: true });
    await third?.socket.emitWithAck("leaveRoom", { room: ROOM });
    await eventually(() => {
      expect(heard.filter((what) => what.includes("signal")).sort()).toEqual(["u1 signal u0", "u2 signal u0"]);
      expect(heard.filter((what) => what.includes("left")).sort()).toEqual(["u0 left u2", "u1 left u2"]);
    });
    expect(heard.filter((what) => what.includes("joined")).sort()).toEqual([
      "u0 joined u1",
      "u0 joined u2",
      "u1 joined u2",
    ]);

    // A lost connection goes on from where it was, as with Redis.
    second?.socket.io.engine.close();
    const seq = await first?.send("after");
    await eventually(() => expect(second?.messages.at(-1)?.seq).toBe(seq));
    expect(second?.recoveries).toBe(1);
    for (const { violations } of members) expect(violations).toEqual([]);
  });

  it("[G9] lives on, and keeps nobody, where a join and what puts it out of the room come in one turn", async () => {
    const cluster = await startCluster({ nodes: 1, env: { REDIS_URL: "memory:" } });
    const [url = ""] = cluster.urls;
    const witness = await connectWitness(url);
    await witness.ok("joinRoom", { room: "chat:watched" });
    for (const [room, out] of Object.entries({
      "chat:banned": `["kickMember",{"room":"chat:banned","user":"ada","banSeconds":60}]`,
      "chat:kicked": `["kickMember",{"room":"chat:kicked","user":"ada"}]`,
      "chat:closed": `["closeRoom",{"room":"chat:closed"}]`,
    })) {
      const ada = await openPolling(url, await signToken({ sub: "ada" }));
      expect(await ada.post(`420["joinRoom",{"room":"${room}"}]`, `421${out}`)).toBe(200);
      const answers: string[] = [];
      while (answers.length < 2) answers.push(...(await ada.poll()).filter((packet) => packet.startsWith("43")));
      await eventually(async () => {
        expect(await witness.ok("getMembers", { room })).toMatchObject({ memberCount: 0 });
      });
    }
    expect(cluster.node(0).isAlive()).toBe(true);
  });
});
