import { describe, expect, test } from "vitest";
import { parseRoomTypes, RoomTypes } from "../../src/auth/room-types.ts";

const PRESENCE = { upToMembers: 100, againBelowMembers: 80 };
const DAY_MS = 86_400_000;

function typesOf(file: unknown): RoomTypes {
  const parsed = parseRoomTypes(file, PRESENCE);
  if (!parsed.ok) throw new Error(parsed.problems.join("; "));
  return parsed.types;
}

function problems(file: unknown): readonly string[] {
  const parsed = parseRoomTypes(file, PRESENCE);
  return parsed.ok ? [] : parsed.problems;
}

describe("the built-in policy", () => {
  test("by the token only, 1,000 messages, 8 MiB, 24 hours, no limit of members", () => {
    expect(new RoomTypes(PRESENCE).of("chat:42")).toEqual({
      everybody: 0,
      retention: { maxMessages: 1000, maxBytes: 8 * 1024 * 1024, maxAgeMs: DAY_MS },
      maxMembers: 0,
      presence: PRESENCE,
    });
  });

  test("is that of every type that is not configured, whatever it is called", () => {
    const types = typesOf({ chat: { maxMembers: 2 } });
    for (const room of ["game:1", "chats:1", "constructor:1", "toString", "__proto__:x", ":chat", "lobby"]) {
      expect(types.of(room)).toEqual(new RoomTypes(PRESENCE).of(room));
    }
  });
});

describe("a configured type", () => {
  test("fills what it leaves out with the built-in values", () => {
    const types = typesOf({ chat: { maxMembers: 2, history: { maxAgeSeconds: 60 } }, lobby: {} });
    expect(types.of("chat:42")).toMatchObject({
      everybody: 0,
      retention: { maxMessages: 1000, maxBytes: 8 * 1024 * 1024, maxAgeMs: 60_000 },
      maxMembers: 2,
    });
    expect(types.of("lobby")).toEqual(new RoomTypes(PRESENCE).of("lobby"));
  });

  test("is picked by what stands before the first colon", () => {
    const types = typesOf({ chat: { maxMembers: 2 } });
    expect(types.of("chat").maxMembers).toBe(2);
    expect(types.of("chat:a:b").maxMembers).toBe(2);
    expect(types.of("x:chat").maxMembers).toBe(0);
  });

  test("may tell its presence in another way than the node", () => {
    const types = typesOf({ arena: { presence: { eventsUpToMembers: 10, eventsAgainBelowMembers: 5 } } });
    expect(types.of("arena:1").presence).toEqual({ upToMembers: 10, againBelowMembers: 5 });
    expect(types.of("chat:1").presence).toEqual(PRESENCE);
  });
});

describe("a wrong file", () => {
  test.each([
    [[], "the file must hold a JSON object: a policy for each type"],
    [null, "the file must hold a JSON object: a policy for each type"],
    [{ chat: 1 }, "chat must be an object"],
    [{ chat: { acess: "token" } }, "chat has unknown fields: acess"],
    [{ chat: { history: { max: 1 } } }, "chat.history has unknown fields: max"],
    [{ chat: { access: "public" } }, "chat.access must be one of token, authenticated"],
    [{ chat: { history: { maxMessages: 1.5 } } }, "chat.history.maxMessages must be a whole number"],
    [{ chat: { history: { maxBytes: 1 } } }, "chat.history.maxBytes must be at least 1024"],
    [{ chat: { maxMembers: -1 } }, "chat.maxMembers must be at least 0"],
    [{ "a:b": {} }, 'the type "a:b" must not contain a colon: a type is what stands before it'],
    [{ _own: {} }, 'the type "_own" must not begin with _: these rooms are the service\'s own'],
    [{ "a b": {} }, 'the type "a b" must not contain white space or control characters'],
    [
      { chat: { permissions: ["join"] } },
      'chat.permissions need "access": "authenticated": where access is by the token, the token gives them',
    ],
    [
      { chat: { presence: { eventsUpToMembers: 10 } } },
      "chat.presence.eventsAgainBelowMembers must not be more than eventsUpToMembers",
    ],
  ])("%j: %s", (file, problem) => {
    expect(problems(file)).toEqual([problem]);
  });

  test("is told all its problems at once", () => {
    expect(problems({ a: { x: 1 }, b: 2, c: { maxMembers: "3" } })).toHaveLength(3);
    expect(problems(JSON.parse('{"__proto__": {}}'))).toHaveLength(1);
  });
});
