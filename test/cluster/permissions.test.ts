import { beforeAll, expect, it } from "vitest";
import { PERMISSIONS, type Permission } from "../../src/auth/permissions.ts";
import type { RequestName } from "../../src/protocol.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { keysWith, rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { roomTypesFile } from "../support/room-types.ts";
import { signToken } from "../support/token.ts";
import { connectWitness } from "../support/witness.ts";

const ROOM = "chat:rights";
const NEEDS: readonly (readonly [RequestName, object, Permission])[] = [
  ["joinRoom", { room: ROOM }, "join"],
  ["joinRoom", { room: ROOM, history: 1 }, "history"],
  ["sendMessage", { room: ROOM, data: 1 }, "send"],
  ["sendSignal", { room: ROOM, event: "typing" }, "signal"],
  ["getHistory", { room: ROOM }, "history"],
  ["getMembers", { room: ROOM }, "join"],
  ["kickMember", { room: ROOM, user: "nobody" }, "moderate"],
  ["unbanMember", { room: ROOM, user: "nobody" }, "moderate"],
  ["closeRoom", { room: ROOM }, "moderate"],
];

describeWithRedis("[G7] permissions", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    const types = await roomTypesFile({ open: { access: "authenticated", permissions: ["join", "signal"] } });
    cluster = await startCluster({ nodes: 1, env: { ROOM_TYPES: types.path, RATE_LIMITS: "off" } });
    return async () => {
      await cluster.stop();
      await types.remove();
    };
  });
  const connect = (rooms: Record<string, string[]>, sub = "ada") =>
    connectWitness(cluster.urls[0] ?? "", { claims: { rooms, sub } });

  for (const [name, payload, permission] of NEEDS) {
    it(`${name} ${JSON.stringify(payload)} needs "${permission}" and no other`, async () => {
      const all = PERMISSIONS.filter((other) => other !== permission);
      const without = await connect({ "chat:*": all });
      const { error } = await without.refused(name, payload);
      expect(error).toEqual({
        code: "forbidden",
        message: `the token's rooms give no "${permission}" in ${ROOM}`,
        retryable: false,
      });
      const elsewhere = await connect({ "chat:other": ["*"], "game:*": ["*"], "*:rights:": ["*"] });
      const refusal = await elsewhere.refused(name, payload);
      expect(refusal.error).toEqual({
        code: "forbidden",
        message: `no pattern in the token's rooms covers ${ROOM}`,
        retryable: false,
      });

      // Patterns are united: the one permission comes by another pattern than "join".
      const enough = await connect({ "chat:*": ["join"], "*:rights": [permission] });
      if (name !== "joinRoom") await enough.ok("joinRoom", { room: ROOM });
      // There is no ban to lift, and whoever may lift one is told so.
      if (name === "unbanMember") expect((await enough.refused(name, payload)).error.code).toBe("not_found");
      else await enough.ok(name, payload);
      for (const { socket } of [without, elsewhere, enough]) socket.disconnect();
    });
  }

  it("a refused request stores nothing and shows nothing", async () => {
    const redis = rawRedis();
    const nobody = await connect({});
    for (const [name, payload] of NEEDS) await nobody.refused(name, { ...payload, room: "chat:untouched" });
    expect(await keysWith(redis, `${cluster.prefix}#/#chat:untouched#`)).toEqual([]);
    expect(nobody.seen.filter((seen) => !seen.name.startsWith("ack "))).toEqual([]);
  });

  it("setState, sendSignal, sendMessage and leaveRoom need being in the room, whatever the token gives", async () => {
    const outside = await connect({ "*": ["*"] });
    const room = "chat:not-in";
    for (const [name, payload] of [
      ["setState", { room, state: {} }],
      ["sendSignal", { room, event: "e" }],
      ["sendMessage", { room, data: 1 }],
      ["leaveRoom", { room }],
    ] as const) {
      const { error } = await outside.refused(name, payload);
      expect(error.code).toBe("not_in_room");
      expect(error.message).toContain(room);
      expect(error.retryable).toBe(false);
    }
  });

  it("a room type may open its rooms to everybody; a type that is not configured is by the token only", async () => {
    const nobody = await connect({});
    await nobody.ok("joinRoom", { room: "open:1" });
    await nobody.ok("sendSignal", { room: "open:1", event: "e" });
    const { error } = await nobody.refused("sendMessage", { room: "open:1", data: 1 });
    expect(error.code).toBe("forbidden");
    expect(error.message).toContain("open:1");
    for (const room of ["opened:1", "Open:1", "closed", "constructor:1"]) {
      const refused = await nobody.refused("joinRoom", { room });
      expect(refused.error).toMatchObject({
        code: "forbidden",
        message: `no pattern in the token's rooms covers ${room}`,
      });
    }
    // The built-in policy serves every type that a token names.
    const somebody = await connect({ "never-configured:*": ["join", "send", "history"] });
    await somebody.ok("joinRoom", { room: "never-configured:1" });
    await somebody.ok("sendMessage", { room: "never-configured:1", data: 1 });
    expect((await somebody.ok("getHistory", { room: "never-configured:1" })).messages).toHaveLength(1);
  });

  it("a renewed token counts at once: more rights, fewer rights, and rooms that it does not allow are left", async () => {
    const [room, kept] = ["chat:renewed", "chat:kept"];
    const member = await connect({ "chat:*": ["join", "send"] });
    const other = await connect({ "chat:*": ["*"] }, "ben");
    for (const one of [member, other]) for (const name of [room, kept]) await one.ok("joinRoom", { room: name });
    const { error } = await member.refused("sendSignal", { room, event: "e" });
    expect(error.code).toBe("forbidden");
    const more = await signToken({ sub: "ada", rooms: { "chat:*": ["join", "signal"] }, ttl: 120 });
    const { expiresAt } = await member.ok("renewToken", { token: more });
    expect(Math.abs(expiresAt - Date.now() - 120_000)).toBeLessThan(5_000);
    await member.ok("sendSignal", { room, event: "e" });
    expect((await member.refused("sendMessage", { room, data: 1 })).error.code).toBe("forbidden");

    const less = await signToken({ sub: "ada", rooms: { [kept]: ["join"] } });
    await member.ok("renewToken", { token: less });
    await other.ok("sendMessage", { room, data: "after" });
    await other.ok("sendMessage", { room: kept, data: "after" });
    await eventually(() => expect(member.of("message", kept)).toHaveLength(1));
    expect(member.of("removed")).toEqual([{ room, reason: "forbidden" }]);
    expect(member.of("message", room)).toEqual([]);
    await eventually(() => expect(other.of("userLeft", room)).toHaveLength(1));
    expect((await member.refused("joinRoom", { room })).error.code).toBe("forbidden");

    const otherUser = await signToken({ sub: "ben" });
    expect((await member.refused("renewToken", { token: otherUser })).error.code).toBe("forbidden");
    const expired = await signToken({ sub: "ada", ttl: -1 });
    expect((await member.refused("renewToken", { token: expired })).error.code).toBe("token_expired");
    const forged = await signToken({ sub: "ada", secret: "another secret of at least 32 bytes length" });
    expect((await member.refused("renewToken", { token: forged })).error.code).toBe("unauthorized");
    // What was refused changed nothing.
    await member.ok("joinRoom", { room: kept });
  });
});
