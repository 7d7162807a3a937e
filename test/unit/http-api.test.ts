import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { ApiKeys } from "../../src/auth/api-keys.ts";
import { apiApp } from "../../src/http/api.ts";
import { ApiRates } from "../../src/http/api-rates.ts";
import type { ModerationOfRooms } from "../../src/http/moderation.ts";
import type { RoomsOfApplication } from "../../src/http/rooms.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { NO_DEAD_LETTERS } from "../../src/webhooks/dead-letters.ts";

const NEVER = new Promise<never>(() => undefined);

/** `/v1` on a port of its own, and what reached the moderation behind it. */
async function start(
  over: Partial<ModerationOfRooms> = {},
  timeoutMs = 1_000,
  rooms: Partial<RoomsOfApplication> = {},
  rate: ConstructorParameters<typeof ApiRates>[0] = "off",
) {
  const calls: unknown[][] = [];
  const record =
    (name: string) =>
    async (...args: unknown[]) => {
      calls.push([name, ...args]);
      return undefined;
    };
  const moderation: ModerationOfRooms = {
    kick: record("kick"),
    unban: record("unban"),
    close: record("close"),
    disconnect: record("disconnect"),
    unblock: record("unblock"),
    ...over,
  };
  const counted: string[] = [];
  const apiKeys = new ApiKeys(["key-1", "key-2"]);
  const options = {
    apiKeys,
    moderation,
    rates: new ApiRates(rate),
    nodes: { list: async () => ({ nodes: [], missing: [] }) },
    rooms: rooms as RoomsOfApplication,
    deadLetters: NO_DEAD_LETTERS,
    timeoutMs,
    batchBytes: 10_000,
    served: (call: string) => void counted.push(call),
    refused: (code: string) => void counted.push(code),
    failed: () => undefined,
  };
  const server = createServer(apiApp(options, createLogger("silent", "n1")));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const ask = async (path: string, { method = "DELETE", authorization = "Bearer key-2" } = {}) => {
    const answer = await fetch(`${origin}${path}`, { method, headers: authorization === "" ? {} : { authorization } });
    return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Record<string, unknown> };
  };
  return { ask, calls, counted };
}

describe("[G7] /v1", () => {
  test("nothing without one of the API keys, whatever the path", async () => {
    const { ask, calls, counted } = await start();
    for (const authorization of ["", "Bearer", "Bearer key-3", "Basic key-1", "bearer  key-1", "Bearer key-1 key-2"]) {
      for (const path of ["/v1/rooms/chat:1", "/v1/nowhere"]) {
        expect(await ask(path, { authorization })).toMatchObject({ status: 401, body: { code: "unauthorized" } });
      }
    }
    expect(calls).toEqual([]);
    expect([counted.length, new Set(counted)]).toEqual([12, new Set(["unauthorized"])]);
    expect((await ask("/v1/nowhere")).status).toBe(404);
    expect((await ask("/v1/rooms/chat:1", { method: "POST" })).status).toBe(404);
  });

  test("names and seconds arrive as they were meant", async () => {
    const { ask, calls, counted } = await start();
    const room = encodeURIComponent("chat:ü/1?x#");
    const user = encodeURIComponent("a b/%2F..");
    await ask(`/v1/rooms/${room}/members/${user}`);
    await ask(`/v1/rooms/${room}/members/${user}?banSeconds=60&other=1`);
    await ask(`/v1/rooms/${room}/bans/${user}`);
    await ask(`/v1/rooms/${room}`);
    await ask(`/v1/users/${user}/connections?blockSeconds=9`);
    await ask(`/v1/users/${user}/block`);
    expect(calls).toEqual([
      ["kick", "chat:ü/1?x#", "a b/%2F..", undefined],
      ["kick", "chat:ü/1?x#", "a b/%2F..", 60],
      ["unban", "chat:ü/1?x#", "a b/%2F.."],
      ["close", "chat:ü/1?x#"],
      ["disconnect", "a b/%2F..", 9],
      ["unblock", "a b/%2F.."],
    ]);
    expect(counted).toHaveLength(6);
    await ask("/v1/rooms/a%00b");
    await ask("/v1/nowhere");
    expect(counted.slice(6)).toEqual(["bad_request", "not_found"]);
  });

  test("names that no room or user can have, and seconds that are none, are refused by the field", async () => {
    const { ask, calls } = await start();
    const wrong: [string, string][] = [
      ["/v1/rooms/a%00b", "room must not contain"],
      ["/v1/rooms/a%20b", "room must not contain"],
      ["/v1/rooms/_control", "room must not begin with _"],
      ["/v1/rooms/chat:*/members/eve", "room must not contain braces or *"],
      [`/v1/rooms/${"x".repeat(201)}`, "room must be 1 to 200 bytes"],
      ["/v1/rooms/ABCDEFGHIJ0123456789", "room must not look like"],
      [`/v1/rooms/chat:1/members/${"x".repeat(129)}`, "user must be 1 to 128 bytes"],
      ["/v1/rooms/chat:1/members/eve?banSeconds=0", "banSeconds must be at least 1"],
      ["/v1/rooms/chat:1/members/eve?banSeconds=1.5", "banSeconds must be a whole number"],
      ["/v1/rooms/chat:1/members/eve?banSeconds=-1", "banSeconds must be a whole number"],
      ["/v1/rooms/chat:1/members/eve?banSeconds=999999999", "banSeconds must be at most"],
      ["/v1/rooms/chat:1/members/eve?banSeconds=1&banSeconds=2", "banSeconds must be a text"],
      ["/v1/users/eve/connections?blockSeconds=", "blockSeconds must be a whole number"],
      ["/v1/rooms/%E0%A4%A", "the request cannot be read"],
    ];
    for (const [path, detail] of wrong) {
      const { status, body } = await ask(path);
      expect({ path, status, code: body.code }).toEqual({ path, status: 400, code: "bad_request" });
      expect(body.detail).toContain(detail);
    }
    expect(calls).toEqual([]);
  });

  test("a call that takes too long is unavailable, and one that breaks is internal", async () => {
    const { ask } = await start({ close: () => NEVER, unblock: () => Promise.reject(new Error("broke")) }, 20);
    expect(await ask("/v1/rooms/chat:1")).toMatchObject({ status: 503, body: { code: "unavailable" } });
    expect(await ask("/v1/users/eve/block")).toMatchObject({ status: 500, body: { code: "internal" } });
  });
});
