import { beforeAll, describe, expect, it } from "vitest";
import { REQUESTS, type RequestName } from "../../src/protocol.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { API_KEY } from "../support/token.ts";
import { connectWitness, type Witness } from "../support/witness.ts";

const SECRET_ROOM = "chat:secret";

/** Every request of a room, with all that it needs but the right. */
const ASKED: Record<Exclude<RequestName, "renewToken">, object> = {
  joinRoom: { history: 10 },
  leaveRoom: {},
  sendMessage: { data: 1 },
  sendSignal: { event: "e" },
  getHistory: {},
  getMembers: {},
  setState: { state: { a: 1 } },
  kickMember: { user: "ada" },
  unbanMember: { user: "ada" },
  closeRoom: {},
};

describe("whoever has a token, and wants into rooms that it does not give", () => {
  let url: string;
  let ada: Witness;
  beforeAll(async () => {
    const cluster = await startCluster({ nodes: 1, env: { REDIS_URL: "memory:", RATE_LIMITS: "off" } });
    url = cluster.urls[0] ?? "";
    ada = await connectWitness(url, { claims: { sub: "ada" } });
    await ada.ok("joinRoom", { room: SECRET_ROOM });
    await ada.ok("sendMessage", { room: SECRET_ROOM, data: "hers" });
    return async () => {
      ada.socket.disconnect();
      await cluster.stop();
    };
  });
  const eveWith = (rooms: Record<string, string[]>, sub = "eve") => connectWitness(url, { claims: { sub, rooms } });

  it("[G7] by every request: refused, hears nothing of it, and nobody in it hears of the attempt", async () => {
    expect(Object.keys({ ...ASKED, renewToken: {} }).sort()).toEqual(Object.keys(REQUESTS).sort());
    const before = ada.seen.length;
    const { position } = await ada.ok("getHistory", { room: SECRET_ROOM });
    const elsewhere = { "chat:secrets": ["*"], "chat:secre": ["*"], "CHAT:*": ["*"], "*:secret:": ["*"] };
    for (const rooms of [{}, elsewhere] as Record<string, string[]>[]) {
      const eve = await eveWith(rooms);
      for (const [name, fields] of Object.entries(ASKED)) {
        const { error } = await eve.refused(name as RequestName, { room: SECRET_ROOM, ...fields });
        expect(["forbidden", "not_in_room"], name).toContain(error.code);
      }
      const { error } = await eve.refused("joinRoom", { room: SECRET_ROOM, since: { ...position, seq: 0 } });
      expect(error.code).toBe("forbidden");
      await ada.ok("sendMessage", { room: SECRET_ROOM, data: "more" });
      await ada.ok("sendSignal", { room: SECRET_ROOM, event: "typing" });
      expect(eve.seen.filter(({ name }) => !name.startsWith("ack "))).toEqual([]);
      eve.socket.disconnect();
    }
    const heard = ada.seen.slice(before).map(({ name }) => name);
    expect(
      heard.filter((name) => !["message", "ack getHistory", "ack sendMessage", "ack sendSignal"].includes(name)),
    ).toEqual([]);
  });

  it("[G7] by permissions that are not enough: join shows no history, and send and history no members", async () => {
    const joins = await eveWith({ "chat:*": ["join"] }, "joins");
    expect((await joins.refused("joinRoom", { room: SECRET_ROOM, history: 1 })).error.code).toBe("forbidden");
    expect(await joins.ok("joinRoom", { room: SECRET_ROOM, since: { epoch: "e", seq: 0 } })).toMatchObject({
      recovered: false,
      messages: [],
    });
    for (const name of ["sendMessage", "sendSignal", "getHistory", "kickMember", "closeRoom"] as const) {
      expect((await joins.refused(name, { room: SECRET_ROOM, ...ASKED[name] })).error.code, name).toBe("forbidden");
    }
    const sends = await eveWith({ "chat:*": ["send", "signal", "history"] }, "sends");
    for (const name of ["joinRoom", "getMembers"] as const) {
      expect((await sends.refused(name, { room: SECRET_ROOM })).error.code, name).toBe("forbidden");
    }
    expect((await sends.refused("sendMessage", { room: SECRET_ROOM, data: 1 })).error.code).toBe("not_in_room");
    joins.socket.disconnect();
    sends.socket.disconnect();
  });

  it("[G7] by wildcards, patterns and paths in a room's name: they are letters, or refused", async () => {
    const eve = await eveWith({ "mine:*": ["*"] });
    for (const room of ["*", "chat:*", "mine:*", "mine:*secret", "{mine:1}", "mine:1}{chat:secret"]) {
      const { error } = await eve.refused("joinRoom", { room });
      expect(error, room).toMatchObject({ code: "bad_request", message: "room must not contain braces or *" });
    }
    for (const room of [
      "chat:secret#mine:1",
      "chat:secret?mine:",
      "chat:secret|mine:1",
      "MINE:1",
      "mine",
      "m.ne:1",
      "amine:1",
      "ｍine:1",
      "user:ada",
      "chat:secret,mine:1",
    ]) {
      expect((await eve.refused("joinRoom", { room })).error.code, room).toBe("forbidden");
    }
    // These are hers, whatever they look like; nothing of theirs reaches another room.
    for (const room of [
      "mine:../chat:secret",
      "mine:%2e%2e/chat:secret",
      "mine:1#/#chat:secret#",
      "mine:.+",
      "mine:[a-z]",
      "mine:ｃhat:secret",
    ]) {
      await eve.ok("joinRoom", { room });
      await eve.ok("sendMessage", { room, data: "from eve" });
    }
    expect(ada.of("message", SECRET_ROOM).filter(({ data }) => data === "from eve")).toEqual([]);
    eve.socket.disconnect();
  });

  it("[G7] by names that are not text, half characters, or a socket's id: refused by every request", async () => {
    const eve = await eveWith({ "*": ["*"] });
    const socketId = ada.socket.id ?? "";
    expect(socketId).toHaveLength(20);
    for (const room of [
      socketId,
      "chat:\ud800",
      "\udc00",
      "a b",
      "a\u0000b",
      "a\n",
      "_control",
      "__proto__",
      "",
      "x".repeat(201),
      7,
      null,
      ["chat:1"],
      { room: "chat:1" },
    ]) {
      for (const [name, fields] of Object.entries(ASKED)) {
        const { error } = await eve.refused(name as RequestName, { ...fields, room });
        expect(error.code, `${name} ${JSON.stringify(room)}`).toBe("bad_request");
        expect(error.message).toMatch(/^room /);
      }
    }
    eve.socket.disconnect();
  });

  it("[G9] by patterns that cost: a hundred of them against the longest name hold up nobody", async () => {
    const rooms = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`${"*a".repeat(95)}*${n}`, ["join"]]));
    const eve = await eveWith(rooms);
    const started = performance.now();
    for (let time = 0; time < 20; time++) {
      const { error } = await eve.refused("joinRoom", { room: `${"a".repeat(199)}b` });
      expect(error.code).toBe("forbidden");
    }
    expect(performance.now() - started).toBeLessThan(2_000);
    eve.socket.disconnect();
  });
});

describe("whoever is put out, and tries to slip past it", () => {
  let url: string;
  let mod: Witness;
  beforeAll(async () => {
    const cluster = await startCluster({
      nodes: 1,
      env: { REDIS_URL: "memory:", RATE_LIMITS: "off", GRACE_SECONDS: "300" },
    });
    url = cluster.urls[0] ?? "";
    mod = await connectWitness(url, { claims: { sub: "mod" } });
    return async () => {
      mod.socket.disconnect();
      await cluster.stop();
    };
  });
  const connect = (sub: string) => connectWitness(url, { claims: { sub }, reconnection: false });
  const who = async (room: string) => (await mod.ok("getMembers", { room })).members.map(({ id }) => id);

  it("[G7] by joining while the ban is on its way: no join gets between its check and its seat", async () => {
    const room = "chat:race";
    await mod.ok("joinRoom", { room });
    const racers = await Promise.all(Array.from({ length: 40 }, (_, n) => connect(`racer-${n}`)));
    await Promise.all(
      racers.map(async (racer, n) => {
        const joins = Array.from({ length: 5 }, () => racer.ask("joinRoom", { room }));
        const user = `racer-${n}`;
        await mod.ok("kickMember", { room, user, banSeconds: 60 });
        for (const ack of await Promise.all(joins)) {
          if (!ack.ok) expect(["banned", "superseded"]).toContain(ack.error.code);
        }
      }),
    );
    await eventually(async () => expect(await who(room)).toEqual(["mod"]));
    await mod.ok("sendMessage", { room, data: "private" });
    for (const racer of racers) {
      expect((await racer.refused("joinRoom", { room })).error.code).toBe("banned");
      expect(racer.of("message")).toEqual([]);
      racer.socket.disconnect();
    }
  });

  it("[G7] by a cut of the connection: a kick during the reconnect grace ends the grace", async () => {
    const room = "chat:grace";
    await mod.ok("joinRoom", { room });
    const eve = await connect("eve");
    await eve.ok("joinRoom", { room });
    eve.socket.io.engine.close();
    expect(await who(room)).toEqual(["mod", "eve"]);
    await mod.ok("kickMember", { room, user: "eve" });
    await eventually(async () => expect(await who(room)).toEqual(["mod"]));
    expect(mod.of("userLeft", room)).toHaveLength(1);
  });

  it("[G7] by another connection, or spelling oneself otherwise: a block is of the user, and of no other", async () => {
    const headers = { authorization: `Bearer ${API_KEY}` };
    const path = `${url}/v1/users/${encodeURIComponent("eve/1")}/connections?blockSeconds=60`;
    const eve = await connect("eve/1");
    expect((await fetch(path, { method: "DELETE", headers })).status).toBe(200);
    await eventually(() => expect(eve.socket.connected).toBe(false));
    await expect(connect("eve/1")).rejects.toMatchObject({ data: { code: "banned" } });
    for (const other of ["eve", "eve%2F1", "EVE/1"]) (await connect(other)).socket.disconnect();
  });
});
