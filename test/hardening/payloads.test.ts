import { beforeAll, describe, expect, it } from "vitest";
import type { RequestName } from "../../src/protocol.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { connectRaw } from "../support/raw-client.ts";
import { connectWitness, type Witness } from "../support/witness.ts";
import { BINARY, deep, hidden, REQUEST_FIELDS, ROOM } from "../support/wrong-fields.ts";

const NAMES = Object.keys(REQUEST_FIELDS) as RequestName[];
const nest = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;

describe("whoever sends what no client would", () => {
  let cluster: TestCluster;
  let ada: Witness;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 1, env: { REDIS_URL: "memory:", RATE_LIMITS: "off" } });
    ada = await connectWitness(cluster.urls[0] ?? "", { claims: { sub: "ada" } });
    await ada.ok("joinRoom", { room: ROOM });
    return async () => {
      ada.socket.disconnect();
      await cluster.stop();
    };
  });

  /** The room is as it was, its member has heard nothing, and the node serves on. */
  async function harmless(work: () => Promise<void>): Promise<void> {
    const { position } = await ada.ok("getHistory", { room: ROOM });
    const { version } = await ada.ok("getMembers", { room: ROOM });
    const heard = ada.seen.filter(({ name }) => !name.startsWith("ack ")).length;
    await work();
    expect((await ada.ok("getHistory", { room: ROOM })).position).toEqual(position);
    expect((await ada.ok("getMembers", { room: ROOM })).version).toBe(version);
    expect(ada.seen.filter(({ name }) => !name.startsWith("ack "))).toHaveLength(heard);
    expect(cluster.node(0).isAlive()).toBe(true);
  }

  it("[G9] binary where JSON is due: bad_request by every request, naming the field", async () => {
    await harmless(async () => {
      for (const name of NAMES) {
        const { right } = REQUEST_FIELDS[name];
        expect((await ada.refused(name, BINARY)).error.code, name).toBe("bad_request");
        for (const field of Object.keys(right)) {
          if (name === "sendSignal" && field === "data") continue;
          const { error } = await ada.refused(name, { ...right, [field]: BINARY });
          expect(error, `${name} ${field}`).toMatchObject({ code: "bad_request" });
          expect(error.message).toContain(field);
        }
      }
    });
  });

  it("[G9] __proto__, constructor and prototype: no field is taken from them, and no prototype is changed", async () => {
    await harmless(async () => {
      const eve = await connectWitness(cluster.urls[0] ?? "");
      for (const name of NAMES) {
        const { right } = REQUEST_FIELDS[name];
        for (const payload of [
          hidden(JSON.stringify(right)),
          { constructor: { prototype: right } },
          { prototype: right },
          { toString: 1, hasOwnProperty: 1, valueOf: 1 },
        ]) {
          expect((await eve.refused(name, payload)).error.code, name).toBe("bad_request");
        }
      }
      const room = "chat:proto";
      await eve.ok("joinRoom", { room, state: hidden('{"isAdmin":true}') });
      const { members } = await eve.ok("getMembers", { room });
      expect(members).toHaveLength(1);
      expect(members[0]?.state).not.toHaveProperty("isAdmin", true);
      expect((await eve.ok("joinRoom", { room: "constructor" })).memberCount).toBe(1);
      expect((await eve.ok("joinRoom", { room: "toString:valueOf" })).memberCount).toBe(1);
      eve.socket.disconnect();
    });
  });

  it("[G9] deep and huge JSON: bad_request or payload_too_large, and never the end of the node", async () => {
    await harmless(async () => {
      const eve = await connectWitness(cluster.urls[0] ?? "");
      await eve.ok("joinRoom", { room: "chat:deep" });
      const room = "chat:deep";
      expect((await eve.refused("sendMessage", { room, data: deep(201) })).error.code).toBe("bad_request");
      expect((await eve.refused("setState", { room, state: { a: deep(201) } })).error.code).toBe("bad_request");
      expect((await eve.refused("sendMessage", { room, data: "x".repeat(65_536) })).error.code).toBe(
        "payload_too_large",
      );
      const many = Array.from({ length: 60_000 }, () => 1);
      expect((await eve.refused("sendMessage", { room, data: many })).error.code).toBe("payload_too_large");
      expect((await eve.refused("setState", { room, state: { a: "x".repeat(5_000) } })).error.code).toBe(
        "payload_too_large",
      );
      eve.socket.disconnect();

      const raw = await connectRaw(cluster.urls[0] ?? "");
      const answers: string[] = [];
      raw.onFrame = (frame) => answers.push(frame);
      raw.send('420["joinRoom",{"room":"chat:deep"}]');
      await eventually(() => expect(answers.splice(0)).toEqual([expect.stringMatching(/^430\[\{"ok":true/)]));
      raw.send(`421["sendMessage",{"room":"chat:deep","data":${nest(200_000)}}]`);
      raw.send(`422["joinRoom",{"room":${nest(200_000)}}]`);
      raw.send(`423["getMembers",${nest(200_000)}]`);
      await eventually(() => expect(answers).toHaveLength(3));
      for (const answer of answers) expect(answer).toContain('"code":"bad_request"');
      raw.close();
      const huge = await connectRaw(cluster.urls[0] ?? "");
      huge.send(`421["sendMessage",{"room":"${ROOM}","data":"${"x".repeat(1_100_000)}"}]`);
      await eventually(() => expect(huge.closed).toBe(true));
    });
  });

  const OWN_NAMES = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
    "error",
  ];
  for (const name of [
    ...OWN_NAMES,
    "__proto__",
    "constructor",
    "welcome",
    "message",
    "removed",
    "ending",
    "presence",
  ]) {
    it(`[G9] an event named ${name}, like Socket.IO's or the server's own: the sender's end at most`, async () => {
      await harmless(async () => {
        const eve = await connectRaw(cluster.urls[0] ?? "");
        eve.send(`42${JSON.stringify([name, { room: ROOM, data: "forged" }])}`);
        eve.send(`421${JSON.stringify([name, { room: ROOM, data: "forged" }])}`);
        eve.send('422["getMembers",{"room":"chat:1"}]');
        const answers: string[] = [];
        eve.onFrame = (frame) => answers.push(frame);
        await eventually(() => expect(eve.closed || answers.some((frame) => frame.startsWith("432"))).toBe(true));
        eve.close();
      });
    });
  }
});
