import { beforeAll, expect, it } from "vitest";
import { CALLS } from "../../src/calls.ts";
import type { BatchResult } from "../../src/payloads.ts";
import { type Api, apiOf } from "../support/api.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { keysWith, rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { roomTypesFile } from "../support/room-types.ts";
import { API_KEY } from "../support/token.ts";
import { connectWitness } from "../support/witness.ts";
import { deep } from "../support/wrong-fields.ts";

const OTHER_KEY = "another-key-for-tests";

describeWithRedis("/v1, messages and signals", () => {
  let cluster: TestCluster;
  /** Of a node that has nobody in any room: members connect to the other two. */
  let api: Api;
  beforeAll(async () => {
    const types = await roomTypesFile({ short: { history: { maxMessages: 3 } } });
    cluster = await startCluster({ env: { ROOM_TYPES: types.path, API_KEYS: `${API_KEY},${OTHER_KEY}` } });
    api = apiOf(cluster.urls[2]);
    return async () => {
      await cluster.stop();
      await types.remove();
    };
  });
  const connect = (sub: string, node = 0, claims: object = {}) =>
    connectWitness(cluster.urls[node] ?? "", { claims: { sub, ...claims } });

  it("[G1] a message sent from a node that has nobody in the room reaches every member, stored once", async () => {
    const room = "chat:räume/1";
    const path = `/rooms/${encodeURIComponent(room)}/messages`;
    const [ada, bob] = [await connect("ada", 0), await connect("bob", 1)];
    for (const witness of [ada, bob]) await witness.ok("joinRoom", { room });
    const sent = await api("POST", path, { body: { id: "m1", data: { text: "hello" } } });
    expect(sent.status).toBe(201);
    expect(sent.body).toEqual({ id: "m1", seq: 1, ts: expect.any(Number), duplicate: false });
    const from = { id: "invoice-bot", name: "Invoices" };
    const named = await api("POST", path, { body: { data: null, event: "invoice", from } });
    expect(named.body).toEqual({ id: expect.any(String), seq: 2, ts: expect.any(Number), duplicate: false });
    const { ts } = sent.body;
    const wanted = [
      { seq: 1, ts, room, id: "m1", from: { id: "server" }, event: "message", data: { text: "hello" } },
      { seq: 2, ts: named.body.ts, room, id: named.body.id, from, event: "invoice", data: null },
    ];
    await eventually(() => {
      for (const witness of [ada, bob]) expect(witness.of("message")).toEqual(wanted);
    });
    const again = await api("POST", path, { body: { id: "m1", data: "other" } });
    expect(again).toMatchObject({ status: 201, body: { id: "m1", seq: 1, ts, duplicate: true } });
    expect(CALLS.getHistory.answer.parse((await api("GET", path)).body)).toMatchObject({ messages: wanted });
  });

  it("[G1] ids are of one API key, and of no user; the key itself is nowhere in Redis", async () => {
    const room = "chat:ids";
    const path = `/rooms/${room}/messages`;
    const ada = await connect("ada");
    await ada.ok("joinRoom", { room });
    await ada.ok("sendMessage", { room, id: "k", data: 1 });
    expect((await api("POST", path, { body: { id: "k", data: 2 } })).body).toMatchObject({ seq: 2, duplicate: false });
    const byHeader = { body: { data: 3 }, headers: { "Idempotency-Key": "k" } };
    expect((await api("POST", path, { ...byHeader, key: OTHER_KEY })).body).toMatchObject({ seq: 3, duplicate: false });
    expect((await api("POST", path, byHeader)).body).toMatchObject({ id: "k", seq: 2, duplicate: true });
    const quoted = { body: { data: 3 }, headers: { "Idempotency-Key": '"k"' } };
    expect((await api("POST", path, quoted)).body).toMatchObject({ id: "k", seq: 2, duplicate: true });
    const keys = (await keysWith(rawRedis(), cluster.prefix)).join("\n");
    expect(keys).not.toContain(API_KEY);
    expect(keys).not.toContain(OTHER_KEY);
  });

  it("a room keeps what its type says, also of what servers send; history goes both ways", async () => {
    const path = "/rooms/short:1/messages";
    for (let i = 1; i <= 5; i++) await api("POST", path, { body: { data: i } });
    const page = async (query: string) => {
      const { messages, more } = (await api("GET", `${path}?${query}`)).body;
      return { data: messages.map(({ data }: { data: number }) => data), more };
    };
    expect(await page("")).toEqual({ data: [3, 4, 5], more: false });
    expect(await page("limit=2")).toEqual({ data: [4, 5], more: true });
    expect(await page("before=5&limit=1")).toEqual({ data: [4], more: true });
    expect(await page("after=3&limit=1")).toEqual({ data: [4], more: true });
    expect((await api("GET", "/rooms/short:none/messages")).body).toEqual({
      messages: [],
      position: { epoch: "", seq: 0, ts: 0 },
      more: false,
    });
    expect(await keysWith(rawRedis(), "short:none")).toEqual([]);
  });

  it("a signal reaches every member from a node that has none, and is not stored", async () => {
    const room = "chat:signal";
    const [ada, bob] = [await connect("ada", 0), await connect("bob", 1)];
    for (const witness of [ada, bob]) await witness.ok("joinRoom", { room });
    expect(await api("POST", `/rooms/${room}/signals`, { body: { event: "refresh", data: [1] } })).toMatchObject({
      status: 202,
      body: {},
    });
    await api("POST", `/rooms/${room}/signals`, { body: { event: "bare" } });
    const from = { id: "server" };
    await eventually(() => {
      for (const witness of [ada, bob]) {
        expect(witness.of("signal")).toEqual([
          { room, from, event: "refresh", data: [1] },
          { room, from, event: "bare" },
        ]);
      }
    });
    expect((await api("GET", `/rooms/${room}/messages`)).body.messages).toEqual([]);
  });

  it("members come in pages", async () => {
    const room = "chat:members";
    for (const [index, sub] of ["a", "b", "c"].entries()) {
      await (await connect(sub, index % 2, { name: sub.toUpperCase() })).ok("joinRoom", { room, state: { index } });
    }
    const first = await api("GET", `/rooms/${room}/members?limit=2`);
    expect(first.body).toMatchObject({ memberCount: 3, version: 3, cursor: expect.any(String) });
    expect(first.body.members).toEqual([
      { id: "a", name: "A", state: { index: 0 } },
      { id: "b", name: "B", state: { index: 1 } },
    ]);
    const rest = await api("GET", `/rooms/${room}/members?cursor=${first.body.cursor}`);
    expect(rest.body).toEqual({ members: [{ id: "c", name: "C", state: { index: 2 } }], memberCount: 3, version: 3 });
    expect((await api("GET", "/rooms/chat:nobody/members")).body).toEqual({ members: [], memberCount: 0, version: 0 });
  });

  it("[G9] what is wrong is refused by the field, and nothing happens", async () => {
    const at = "/rooms/chat:wrong";
    const wrong: [string, string, unknown, number, string][] = [
      ["POST", `${at}/messages`, {}, 400, "data is required"],
      ["POST", `${at}/messages`, '{"data":', 400, "the body is not JSON"],
      ["POST", `${at}/messages`, undefined, 400, "data is required"],
      ["POST", `${at}/messages`, [], 400, "the body must be an object"],
      ["POST", `${at}/messages`, { data: 1, id: "" }, 400, "id must be 1 to 128 bytes"],
      ["POST", `${at}/messages`, { data: 1, event: 7 }, 400, "event must be a text"],
      ["POST", `${at}/messages`, { data: 1, from: {} }, 400, "from.id is required"],
      ["POST", `${at}/messages`, { data: deep(201) }, 400, "data is nested more than"],
      ["POST", `${at}/messages`, { data: "x".repeat(65_536) }, 413, "data has 65538 bytes"],
      ["POST", `${at}/messages`, { data: "x".repeat(1_000_000) }, 413, "the body is too large"],
      ["POST", "/rooms/_control/messages", { data: 1 }, 400, "room must not begin with _"],
      ["POST", `${at}/signals`, { data: 1 }, 400, "event is required"],
      ["POST", `${at}/signals`, { event: "e", data: "x".repeat(65_536) }, 413, "data has"],
      ["GET", `${at}/messages?before=1&after=1`, undefined, 400, "before and after exclude each other"],
      ["GET", `${at}/messages?limit=501`, undefined, 400, "limit must be at most 500"],
      ["GET", `${at}/messages?before=x`, undefined, 400, "before must be a whole number"],
      ["GET", `${at}/members?cursor=x`, undefined, 400, "cursor is not one"],
      ["POST", "/messages", {}, 400, "messages is required"],
      ["POST", "/messages", { messages: [] }, 400, "messages must be at least 1 items"],
      ["POST", "/messages", { messages: Array(1_001).fill(0) }, 400, "messages must be at most 1000 items"],
      ["POST", "/messages", { messages: ["x".repeat(2 * 1024 * 1024)] }, 413, "the body is too large"],
      ["POST", "/users/a%20b/messages", { data: 1 }, 400, "user has no room: its name must not contain white space"],
      ["POST", "/users/a*/signals", { event: "e" }, 400, "user has no room: its name must not contain braces or *"],
    ];
    for (const [method, path, body, status, detail] of wrong) {
      const answer = await api(method, path, { body });
      expect({ path, detail: answer.body.detail, status: answer.status }).toEqual({
        path,
        detail: expect.stringContaining(detail),
        status,
      });
      expect(answer.headers.get("content-type")).toContain("application/problem+json");
    }
    const two = await api("POST", `${at}/messages`, {
      body: { id: "a", data: 1 },
      headers: { "Idempotency-Key": "b" },
    });
    expect(two).toMatchObject({ status: 400, body: { code: "bad_request" } });
    expect(await api("POST", `${at}/messages`, { body: { data: 1 }, key: "wrong" })).toMatchObject({ status: 401 });
    expect(await keysWith(rawRedis(), `${cluster.prefix}#/#chat:wrong`)).toEqual([]);
  });

  it("[G1] 1,000 messages in one batch to 100 rooms: results in order, all stored once, also when sent again", async () => {
    const rooms = Array.from({ length: 100 }, (_, i) => `batch:${i}`);
    const messages = Array.from({ length: 1_000 }, (_, i) => ({ room: rooms[i % 100], id: `b${i}`, data: i }));
    const first = await api("POST", "/messages", { body: { messages } });
    expect(first.status).toBe(200);
    const results: BatchResult[] = first.body.results;
    expect(results.map((result) => result.ok && [result.id, result.seq, result.duplicate])).toEqual(
      messages.map(({ id }, i) => [id, Math.floor(i / 100) + 1, false]),
    );
    const again = await apiOf(cluster.urls[0])("POST", "/messages", { body: { messages } });
    expect(again.body.results).toEqual(results.map((result) => ({ ...result, duplicate: true })));
    for (const [at, room] of rooms.entries()) {
      const { messages: stored } = (await api("GET", `/rooms/${room}/messages`)).body;
      expect(stored.map(({ data }: { data: number }) => data)).toEqual(
        Array.from({ length: 10 }, (_, i) => i * 100 + at),
      );
    }
  });

  it("one wrong message of a batch stops no other, and is told with its id", async () => {
    const results = async (messages: unknown[], headers = {}) =>
      (await api("POST", "/messages", { body: { messages }, headers })).body.results as BatchResult[];
    const mixed = await results([
      { room: "mix:1", data: 1, id: "a" },
      { room: "mix 1", data: 1, id: "b" },
      7,
      { room: "mix:1", id: "c" },
      { room: "mix:1", data: "x".repeat(65_536), id: "d" },
      { room: "mix:1", data: 2, id: "a" },
      { room: "mix:1", data: 3 },
    ]);
    expect(mixed.map((result) => (result.ok ? result.seq : [result.id, result.error.code]))).toEqual([
      1,
      ["b", "bad_request"],
      [undefined, "bad_request"],
      ["c", "bad_request"],
      ["d", "payload_too_large"],
      1,
      2,
    ]);
    expect(mixed[5]).toMatchObject({ duplicate: true });
    expect(CALLS.sendMessages.answer.parse({ results: mixed })).toEqual({ results: mixed });
    const keyed = [
      { room: "mix:2", data: 1 },
      { room: "mix:2", data: 2, id: "own" },
    ];
    const once = await results(keyed, { "Idempotency-Key": "job-7" });
    expect(once.map((result) => result.ok && result.id)).toEqual(["job-7:0", "own"]);
    expect(await results(keyed, { "Idempotency-Key": "job-7" })).toEqual(
      once.map((result) => ({ ...result, duplicate: true })),
    );
  });

  it("[G7] users have a room of their own: its user joins and reads without a claim, nobody else does", async () => {
    const nothing = { rooms: {} };
    const eve = "eve@example.com|7";
    const path = `/users/${encodeURIComponent(eve)}`;
    const room = `user:${eve}`;
    const own = await connect(eve, 0, nothing);
    const other = await connect("mallory", 1, nothing);
    await own.ok("joinRoom", { room, history: 10 });
    expect((await api("POST", `${path}/messages`, { body: { id: "n1", data: "hi" } })).body).toMatchObject({ seq: 1 });
    expect((await api("POST", `${path}/signals`, { body: { event: "ping" } })).status).toBe(202);
    await eventually(() => {
      expect(own.of("message")).toMatchObject([{ room, id: "n1", data: "hi" }]);
      expect(own.of("signal")).toEqual([{ room, from: { id: "server" }, event: "ping" }]);
    });
    expect((await own.ok("getHistory", { room })).messages).toHaveLength(1);
    for (const request of ["sendMessage", "sendSignal", "kickMember"] as const) {
      const { error } = await own.refused(request, { room, data: 1, event: "e", user: eve });
      expect([request, error.code]).toEqual([request, "forbidden"]);
    }
    for (const request of ["joinRoom", "getHistory", "getMembers"] as const) {
      expect((await other.refused(request, { room })).error.code).toBe("forbidden");
    }
    const friend = await connect("friend", 1, { rooms: { "user:eve*": ["join"] } });
    await friend.ok("joinRoom", { room });
    expect((await friend.refused("getHistory", { room })).error.code).toBe("forbidden");
  });
});
