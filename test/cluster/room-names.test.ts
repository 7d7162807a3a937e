import { beforeAll, expect, it } from "vitest";
import { REQUESTS, type RequestName } from "../../src/protocol.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { keysOfRooms, rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { connectWitness, type Witness } from "../support/witness.ts";

const WHITE = ["\t", "\n", "\r", " ", "\u00a0", "\u2003", "\u2028", "\u2029", "\u3000", "\ufeff"];
const CONTROL = ["\u0000", "\u0007", "\u001f", "\u007f", "\u0085", "\u009f"];

/** By what the answer says of them. */
const REFUSED: Record<string, string[]> = {
  "must be 1 to 200 bytes": ["", "x".repeat(201), "é".repeat(101), "😀".repeat(51)],
  "must be well-formed Unicode": ["chat:\ud800", "\udc00", "chat:\udfff\ud83d"],
  "must not contain white space or control characters": [...WHITE, ...CONTROL].flatMap((it) => [`a${it}b`, it]),
  "must not contain braces or *": ["chat:{1}", "{", "}", "chat:*", "*", "{chat}:1"],
  "must not look like a connection's id (20 characters of A-Za-z0-9_-)": ["a".repeat(20), "Ab0-Ab0_Ab0-Ab0_Ab0-"],
  "must not begin with _: these rooms are the service's own": ["_", "_control", "_x:1", "__proto__"],
};

const ALLOWED = [
  "x",
  "lobby",
  ":",
  ":x",
  "chat:",
  "x".repeat(200),
  "é".repeat(100),
  "😀".repeat(50),
  "a".repeat(19),
  "a".repeat(21),
  "chat:0123456789abcde",
  "é".repeat(20),
  "chat:_x",
  "constructor",
  "toString:1",
  "chat:a#b#",
  "#/#",
  "..",
  "a/b?c=d&e%2F",
  "chat:\u200b",
];

describeWithRedis("names of rooms", () => {
  let cluster: TestCluster;
  let member: Witness;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 1, env: { RATE_LIMITS: "off" } });
    member = await connectWitness(cluster.urls[0] ?? "");
    return async () => {
      member.socket.disconnect();
      await cluster.stop();
    };
  });

  const payload = { data: 1, event: "e", state: {}, token: "x", user: "u" };
  const names = (Object.keys(REQUESTS) as RequestName[]).filter((name) => "room" in REQUESTS[name].shape);

  for (const [says, rooms] of Object.entries(REFUSED)) {
    it(`a room's name ${says}`, async () => {
      const redis = rawRedis();
      const before = await keysOfRooms(redis, cluster.prefix);
      for (const room of rooms) {
        for (const name of names) {
          const { error } = await member.refused(name, { ...payload, room });
          expect(error, JSON.stringify(room)).toEqual({
            code: "bad_request",
            message: `room ${says}`,
            retryable: false,
          });
        }
      }
      expect(await keysOfRooms(redis, cluster.prefix)).toEqual(before);
    });
  }

  for (const room of ALLOWED) {
    it(`${room.length > 30 ? `a name of ${Buffer.byteLength(room)} bytes` : room} is a room like any other`, async () => {
      const before = member.of("message").length;
      const joined = await member.ok("joinRoom", { room, history: 5 });
      expect(joined).toMatchObject({ room, memberCount: 1, version: 1, messages: [] });
      await member.ok("sendMessage", { room, data: room });
      await eventually(() => expect(member.of("message", room).map(({ data }) => data)).toEqual([room]));
      const { messages } = await member.ok("getHistory", { room });
      expect(messages.map(({ data }) => data)).toEqual([room]);
      await member.ok("leaveRoom", { room });
      // No other room that this connection is or was in has heard of it.
      expect(member.of("message")).toHaveLength(before + 1);
    });
  }
});
