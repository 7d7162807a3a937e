import { expect, it } from "vitest";
import { type Message, RoomcastError, type Sending } from "../../src/index.ts";
import { stockClient } from "../support/client.ts";
import { startEmbedded } from "../support/embedded.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithRedis } from "../support/redis.ts";
import { startRedisProxy } from "../support/redis-proxy.ts";
import { redisUrl } from "../support/run-redis.ts";
import { signToken } from "../support/token.ts";
import { connectWitness } from "../support/witness.ts";

const ROOM = "chat:hooks";
const NEVER = new Promise<never>(() => undefined);
const TIMEOUT_MS = 100;

describeWithRedis("hooks of an application that embeds a node", () => {
  it("[G7] authorize decides about rooms that the token does not cover, and a broken one lets nobody in", async () => {
    const asked: unknown[] = [];
    const { url } = await startEmbedded({
      hookTimeoutMs: TIMEOUT_MS,
      hooks: {
        authorize: (question) => {
          asked.push(question);
          if (question.room === "chat:yes") return { permissions: ["join", "send"] };
          if (question.room === "chat:no") return false;
          if (question.room === "chat:slow") return NEVER;
          throw new Error("the database is away");
        },
      },
    });
    const ada = await connectWitness(url, { claims: { sub: "ada", rooms: { "own:*": ["join"] } } });
    await ada.ok("joinRoom", { room: "own:1" });
    expect(asked).toEqual([]);
    await ada.ok("joinRoom", { room: "chat:yes" });
    await ada.ok("sendMessage", { room: "chat:yes", data: 1 });
    expect(asked).toEqual([{ user: "ada", room: "chat:yes", permission: "join" }]);
    expect((await ada.refused("joinRoom", { room: "chat:yes", history: 1 })).error.code).toBe("forbidden");
    expect((await ada.refused("joinRoom", { room: "chat:no" })).error.code).toBe("forbidden");
    for (const room of ["chat:slow", "chat:broken"]) {
      expect((await ada.refused("joinRoom", { room })).error).toMatchObject({ code: "unavailable", retryable: true });
    }
  });

  it("[G7] beforeJoin refuses by its own words, and lets nobody in where it breaks or takes too long", async () => {
    const asked: unknown[] = [];
    const { url, node, logged } = await startEmbedded({
      hookTimeoutMs: TIMEOUT_MS,
      hooks: {
        beforeJoin: (joining) => {
          asked.push(joining);
          if (joining.room === "chat:no") throw new RoomcastError("forbidden", "the club is closed");
          if (joining.room === "chat:slow") return NEVER;
          if (joining.room === "chat:broken") return Promise.reject(new Error("the database is away"));
          return true;
        },
      },
    });
    const ada = await connectWitness(url, { claims: { sub: "ada", name: "Ada" } });
    await ada.ok("joinRoom", { room: "chat:yes" });
    expect(asked).toEqual([{ user: { id: "ada", name: "Ada" }, connection: ada.socket.id, room: "chat:yes" }]);
    const refusals = { "chat:no": "forbidden", "chat:slow": "unavailable", "chat:broken": "internal" };
    for (const [room, code] of Object.entries(refusals)) {
      expect((await ada.refused("joinRoom", { room })).error.code).toBe(code);
      expect((await node.rooms.members(room)).memberCount).toBe(0);
      expect((await ada.refused("sendMessage", { room, data: 1 })).error.code).toBe("not_in_room");
    }
    expect((await ada.refused("joinRoom", { room: "chat:no" })).error.message).toBe("the club is closed");
    expect(logged()).toContain("the database is away");
    expect(logged()).toContain(`beforeJoin did not answer within ${TIMEOUT_MS} ms`);
  });

  /** A node whose answers from Redis the test can hold up, and a member whose join waits for one; its seat is taken by then. */
  async function joinHeld(
    hooks: NonNullable<Parameters<typeof startEmbedded>[0]>["hooks"],
    claims: object,
    history = 0,
  ) {
    const address = new URL(redisUrl());
    const proxy = await startRedisProxy(Number(address.port));
    address.port = new URL(proxy.url).port;
    const { url, node } = await startEmbedded({ env: { REDIS_URL: address.href }, hooks: hooks ?? {} });
    const ada = await connectWitness(url, { claims: { sub: "ada", ...claims } });
    const members = async () => (await node.rooms.members(ROOM)).memberCount;
    if (history > 0) await node.rooms.send(ROOM, { data: "read it if you may" });
    proxy.hold("commands", ["answers"]);
    const first = ada.ask("joinRoom", { room: ROOM, history });
    await eventually(async () => expect(await members()).toBe(1));
    return { ada, first, members, release: () => proxy.release() };
  }

  it("[G4] a join that took the place of an unanswered one, and is refused, leaves no ghost of either", async () => {
    let isOpen = true;
    const beforeJoin = () => {
      if (!isOpen) throw new RoomcastError("forbidden", "the club is closed");
      return true;
    };
    const { ada, first, members, release } = await joinHeld({ beforeJoin }, {});
    isOpen = false;
    expect((await ada.refused("joinRoom", { room: ROOM })).error.code).toBe("forbidden");
    release();
    expect(await first).toMatchObject({ ok: false, error: { code: "superseded" } });
    await eventually(async () => expect(await members()).toBe(0));
  });

  it("[G7] a join under way does not survive the right that it began with", async () => {
    const { ada, first, members, release } = await joinHeld(
      { authorize: () => false },
      { rooms: { "chat:*": ["join"] } },
    );
    await ada.ok("renewToken", { token: await signToken({ sub: "ada", rooms: { "own:*": ["join"] } }) });
    release();
    expect(await first).toMatchObject({ ok: false, error: { code: "forbidden" } });
    await eventually(async () => expect(await members()).toBe(0));
  });

  it("[G7] a join under way is answered with no messages once the token does not allow reading any more", async () => {
    const { ada, first, members, release } = await joinHeld(
      {},
      { rooms: { "chat:*": ["join", "history", "send"] } },
      5,
    );
    await ada.ok("renewToken", { token: await signToken({ sub: "ada", rooms: { "chat:*": ["join"] } }) });
    release();
    expect(await first).toMatchObject({ ok: false, error: { code: "forbidden" } });
    await eventually(async () => expect(await members()).toBe(0));
  });

  it("[G7] who is blocked while the application's middleware is asked is put out", async () => {
    const { url, node, api } = await startEmbedded();
    const [asked, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    node.io.use((_socket, next) => {
      asked.resolve();
      answered.promise.then(() => next());
    });
    const eve = stockClient(url, await signToken({ sub: "eve" }));
    const endings: unknown[] = [];
    eve.on("ending", (event) => endings.push(event));
    eve.connect();
    await asked.promise;
    expect((await api("DELETE", "/users/eve/connections?blockSeconds=60")).status).toBe(200);
    answered.resolve();
    await eventually(() => expect(endings).toMatchObject([{ code: "banned" }]));
    await eventually(() => expect(eve.connected).toBe(false));
  });

  it("[G1] beforeSend may change and refuse; what it refused, or broke at, is not stored", async () => {
    const { url, node, logged } = await startEmbedded({
      hookTimeoutMs: TIMEOUT_MS,
      hooks: {
        beforeSend: ({ id, data, user, room }: Sending) => {
          if (id === "as-it-is") return undefined;
          if (id === "changed") return { data: { text: String(data).toUpperCase(), by: user.id, room }, event: "loud" };
          if (id === "nothing") return { data: null };
          if (id === "refused") throw new RoomcastError("forbidden", "mind your language");
          if (id === "slow") return NEVER;
          if (id === "huge") return { data: "x".repeat(70_000) };
          if (id === "nonsense") return { event: "" };
          throw new TypeError("broke");
        },
      },
    });
    const ada = await connectWitness(url, { claims: { sub: "ada" } });
    await ada.ok("joinRoom", { room: ROOM });
    for (const id of ["as-it-is", "changed", "nothing"]) await ada.ok("sendMessage", { room: ROOM, id, data: "hey" });
    const refusals = {
      refused: "forbidden",
      slow: "unavailable",
      huge: "payload_too_large",
      nonsense: "internal",
      broken: "internal",
    };
    for (const [id, code] of Object.entries(refusals)) {
      expect(await ada.refused("sendMessage", { room: ROOM, id, data: "hey" })).toMatchObject({ id, error: { code } });
    }
    await node.rooms.send(ROOM, { id: "server", data: "not asked about" });
    const { messages } = await node.rooms.history(ROOM);
    expect(messages.map(({ id, event, data }) => ({ id, event, data }))).toEqual([
      { id: "as-it-is", event: "message", data: "hey" },
      { id: "changed", event: "loud", data: { text: "HEY", by: "ada", room: ROOM } },
      { id: "nothing", event: "message", data: null },
      { id: "server", event: "message", data: "not asked about" },
    ]);
    await eventually(() => expect(ada.of("message")).toEqual(messages));
    expect(logged()).toContain("a hook failed");
  });

  it("[G2] messages keep their order, however long beforeSend takes for each", async () => {
    const answers = new Map<string, () => void>();
    const { url, node } = await startEmbedded({
      hooks: {
        beforeSend: async ({ id }) => {
          if (id === "refused") throw new RoomcastError("forbidden");
          await new Promise<void>((resolve) => answers.set(id, resolve));
        },
      },
    });
    const ada = await connectWitness(url, { claims: { sub: "ada" } });
    await ada.ok("joinRoom", { room: ROOM });
    const ids = ["1", "2", "refused", "3", "4"];
    const acks = ids.map((id) => ada.ask("sendMessage", { room: ROOM, id, data: id }));
    await eventually(() => expect(answers.size).toBe(4));
    for (const id of ["4", "3", "2", "1"]) answers.get(id)?.();
    const oks = (await Promise.all(acks)).map(({ ok }) => ok);
    expect(oks).toEqual([true, true, false, true, true]);
    const { messages } = await node.rooms.history(ROOM);
    expect(messages.map(({ id }) => id)).toEqual(["1", "2", "3", "4"]);
  });

  it("[G7] who is put out while beforeSend is asked stores nothing", async () => {
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
    const { url, node } = await startEmbedded({
      hooks: {
        beforeSend: async () => {
          ask();
          await answered;
        },
      },
    });
    const ada = await connectWitness(url, { claims: { sub: "ada" } });
    await ada.ok("joinRoom", { room: ROOM });
    const sending = ada.ask("sendMessage", { room: ROOM, data: 1 });
    await asked;
    await node.rooms.kick(ROOM, "ada");
    await eventually(() => expect(ada.of("removed")).toHaveLength(1));
    answer();
    expect(await sending).toMatchObject({ ok: false, error: { code: "not_in_room" } });
    expect((await node.rooms.history(ROOM)).messages).toEqual([]);
  });

  it("afterSend hears of every message that this node stored, once; what it does holds nothing up", async () => {
    const heard: Message[] = [];
    const { url, api, node, logged } = await startEmbedded({
      hookTimeoutMs: TIMEOUT_MS,
      hooks: {
        afterSend: (message) => {
          heard.push(message);
          if (message.id === "1") throw new Error("the search index is away");
          return NEVER;
        },
      },
    });
    const ada = await connectWitness(url, { claims: { sub: "ada" } });
    await ada.ok("joinRoom", { room: ROOM });
    for (const id of ["1", "2", "2"]) await ada.ok("sendMessage", { room: ROOM, id, data: { id } });
    await api("POST", `/rooms/${ROOM}/messages`, { body: { id: "3", data: 3 } });
    await node.rooms.send(ROOM, { id: "4", data: 4 });
    await eventually(() => expect(heard.map(({ id }) => id)).toEqual(["1", "2", "3", "4"]));
    expect(heard).toEqual((await node.rooms.history(ROOM)).messages);
    await eventually(() => {
      expect(logged()).toContain("the search index is away");
      expect(logged()).toContain(`afterSend did not answer within ${TIMEOUT_MS} ms`);
    });
  });
});
