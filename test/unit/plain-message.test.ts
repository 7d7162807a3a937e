import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { REQUESTS } from "../../src/protocol.ts";
import { plainMessage } from "../../src/socket/plain-message.ts";

const ROOM = "chat:1";
const joined = new Set([ROOM]);

const ROOMS = [ROOM, "chat:2", "", "a b", 7, null, undefined];
const DATA = ["text", 0, false, null, { deep: [1] }, Buffer.from([1]), undefined];
const TEXTS = [
  "x",
  "",
  "ü".repeat(42),
  "x".repeat(43),
  "x".repeat(128),
  "ü".repeat(65),
  "\ud800",
  "a\ud800",
  7,
  null,
  {},
];

function* requests(): Iterable<Record<string, unknown>> {
  for (const room of ROOMS) {
    for (const data of DATA) {
      for (const id of [undefined, ...TEXTS]) {
        for (const event of [undefined, ...TEXTS]) {
          yield { room, data, ...(id !== undefined && { id }), ...(event !== undefined && { event }), more: 1 };
        }
      }
    }
  }
}

describe("a plain message", () => {
  it("is taken only where the schema takes it, and as the schema does", () => {
    let taken = 0;
    for (const request of requests()) {
      const plain = plainMessage(request, joined);
      if (plain === undefined) continue;
      taken += 1;
      const bySchema = REQUESTS.sendMessage.parse(request);
      expect(plain).toEqual(request.id === undefined ? { ...bySchema, id: plain.id } : bySchema);
      expect(REQUESTS.sendMessage.parse(plain)).toEqual(plain);
    }
    // Of the texts, only "x", 42 times "ü" and one that is left out are plain for certain, by id and event each.
    expect(taken).toBe((DATA.length - 1) * 3 * 3);
  });

  it("has an id of its own where it came with none", () => {
    const ids = [1, 2].map((data) => plainMessage({ room: ROOM, data }, joined)?.id);
    expect(new Set(ids).size).toBe(2);
    expect(ids).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/), expect.stringMatching(/^[0-9a-f-]{36}$/)]);
  });

  it("goes to a room that was joined: the name of any other is left to the schema", () => {
    const request = { room: ROOM, data: 1, id: randomUUID() };
    expect(plainMessage(request, joined)).toEqual({ ...request, event: "message" });
    expect(plainMessage(request, new Set())).toBeUndefined();
  });
});
