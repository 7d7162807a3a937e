import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compilePermissions, denial, may, type RoomGrants, roomsSchema } from "../../src/auth/permissions.ts";
import { parseRoomTypes, type RoomPolicy } from "../../src/auth/room-types.ts";
import { checkFields } from "../../src/fields.ts";

const PRESENCE = { upToMembers: 100, againBelowMembers: 80 };

function policyOf(room: string, file: object = {}): RoomPolicy {
  const parsed = parseRoomTypes(file, PRESENCE);
  if (!parsed.ok) throw new Error(parsed.problems.join("; "));
  return parsed.types.of(room);
}

function matches(pattern: string, room: string): boolean {
  return compilePermissions({ [pattern]: ["join"] }).allows(room, "join");
}

/** The meaning of a pattern in the plainest way: slow, but there is nothing to get wrong. */
function fits(pattern: string, room: string): boolean {
  if (pattern === "") return room === "";
  if (pattern[0] !== "*") return pattern[0] === room[0] && fits(pattern.slice(1), room.slice(1));
  return fits(pattern.slice(1), room) || (room !== "" && fits(pattern, room.slice(1)));
}

describe("claims that several tokens have in common", () => {
  const claim = { "chat:*": ["join"], "user:anna": ["send"] } satisfies RoomGrants;

  test("give each user a room of their own, and nobody another's", () => {
    const [anna, ben] = [compilePermissions(claim, "anna"), compilePermissions(claim, "ben")];
    for (const permissions of [anna, ben]) expect(permissions.allows("chat:1", "join")).toBe(true);
    expect(["join", "history", "send"].map((what) => anna.allows("user:anna", what as "join"))).toEqual([
      true,
      true,
      true,
    ]);
    expect(["join", "history", "send"].map((what) => ben.allows("user:ben", what as "join"))).toEqual([
      true,
      true,
      false,
    ]);
    expect(ben.allows("user:anna", "join")).toBe(false);
    expect(compilePermissions(claim).of("user:ben")).toBeUndefined();
  });

  test("are told apart, however many there are", () => {
    const made = Array.from({ length: 2_500 }, (_, i) => compilePermissions({ [`chat:${i}`]: ["join"] }));
    for (const [i, permissions] of made.entries()) {
      expect(permissions.allows(`chat:${i}`, "join")).toBe(true);
      expect(permissions.allows(`chat:${i + 1}`, "join")).toBe(false);
    }
  });
});

describe("patterns", () => {
  test.each([
    ["chat:42", "chat:42", true],
    ["chat:42", "chat:421", false],
    ["chat:*", "chat:42", true],
    ["chat:*", "chat:", true],
    ["chat:*", "chats:1", false],
    ["*", "anything", true],
    ["*:42", "chat:42", true],
    ["*:42", "chat:42:x", false],
    ["a*b*c", "a--b--b--c", true],
    ["a*b*c", "a--c--b", false],
    ["ab*ba", "aba", false],
    ["a*b*b", "ab", false],
    ["a**b", "ab", true],
    ["chat:.*", "chat:x", false],
    ["chat:?", "chat:x", false],
    ["CHAT:*", "chat:x", false],
  ])("%s and %s: %s", (pattern, room, expected) => {
    expect(matches(pattern, room)).toBe(expected);
  });

  test("mean what the plainest definition says, for all patterns and names", () => {
    const letters = (from: string) => fc.string({ unit: fc.constantFrom(...from), maxLength: 9 });
    fc.assert(
      fc.property(letters("ab*"), letters("ab"), (pattern, room) => {
        expect(matches(pattern, room)).toBe(fits(pattern, room));
      }),
      { numRuns: 3000 },
    );
  });

  test("[G9] the worst 100 patterns of a token are answered in no time", () => {
    const rooms: RoomGrants = {};
    for (let i = 0; i < 100; i++) rooms[`*${"a".repeat(100 - (i % 10))}b${"*a".repeat(i % 40)}`] = ["join"];
    const permissions = compilePermissions(rooms);
    const room = "a".repeat(200);
    const start = process.cpuUsage();
    for (let i = 0; i < 100; i++) expect(permissions.allows(room, "join")).toBe(false);
    // Per check a hundredth of this; a pattern turned into a regular expression would not end in this test's time.
    expect(process.cpuUsage(start).user).toBeLessThan(1_000_000);
  });
});

describe("[G7] permissions", () => {
  test("of all matching patterns are united", () => {
    const permissions = compilePermissions({ "chat:*": ["join"], "*:42": ["send"], "chat:42": ["history"], x: ["*"] });
    expect(permissions.allows("chat:42", "join")).toBe(true);
    expect(permissions.allows("chat:42", "send")).toBe(true);
    expect(permissions.allows("chat:42", "history")).toBe(true);
    expect(permissions.allows("chat:42", "signal")).toBe(false);
    expect(permissions.allows("chat:1", "send")).toBe(false);
  });

  test("* gives every one, and a pattern without permissions none", () => {
    const permissions = compilePermissions({ "admin:*": ["*"], "empty:*": [] });
    for (const permission of ["join", "send", "signal", "history", "moderate"] as const) {
      expect(permissions.allows("admin:1", permission)).toBe(true);
      expect(permissions.allows("empty:1", permission)).toBe(false);
    }
  });

  test("a token without rooms gives nothing", () => {
    expect(compilePermissions({}).allows("chat:1", "join")).toBe(false);
  });

  test("of the room's type come on top, and only where access is authenticated", () => {
    const nothing = compilePermissions({});
    const open = policyOf("lobby", { lobby: { access: "authenticated", permissions: ["join", "history"] } });
    expect(may(nothing, open, "lobby", "join")).toBe(true);
    expect(may(nothing, open, "lobby", "send")).toBe(false);
    expect(may(compilePermissions({ lobby: ["send"] }), open, "lobby", "send")).toBe(true);
    expect(may(nothing, policyOf("lobby"), "lobby", "join")).toBe(false);
  });

  test("a denial says what is missing", () => {
    const builtIn = policyOf("chat:42");
    expect(denial(compilePermissions({ "game:*": ["*"] }), builtIn, "chat:42", "join")).toBe(
      "no pattern in the token's rooms covers chat:42",
    );
    expect(denial(compilePermissions({ "chat:*": ["join"] }), builtIn, "chat:42", "send")).toBe(
      'the token\'s rooms give no "send" in chat:42',
    );
    const open = policyOf("chat:42", { chat: { access: "authenticated", permissions: ["join"] } });
    expect(denial(compilePermissions({}), open, "chat:42", "send")).toBe(
      'rooms of type chat give no "send", and no pattern in the token\'s rooms covers chat:42',
    );
  });
});

describe("[G9] the claim rooms", () => {
  const problemsOf = (rooms: unknown) => {
    const checked = checkFields(roomsSchema, rooms, "rooms", ["rooms"]);
    return checked.ok ? [] : checked.problems;
  };
  const patterns = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`chat:${i}`, ["join"]]));

  test("has at most 100 patterns of 1 to 200 bytes", () => {
    expect(problemsOf(patterns(100))).toEqual([]);
    expect(problemsOf(patterns(101))).toEqual(["rooms must have at most 100 patterns"]);
    expect(problemsOf({ ["é".repeat(100)]: ["join"] })).toEqual([]);
    expect(problemsOf({ [`${"é".repeat(100)}x`]: ["join"] })).toEqual(["rooms must have patterns of 1 to 200 bytes"]);
    expect(problemsOf({ "": ["join"] })).toEqual(["rooms must have patterns of 1 to 200 bytes"]);
  });

  test("names what it does not know", () => {
    expect(problemsOf({ "chat:*": ["write"] })).toEqual([
      'rooms["chat:*"][0] must be one of join, send, signal, history, moderate, *',
    ]);
    expect(problemsOf({ "chat:*": "join" })).toEqual(['rooms["chat:*"] must be a list']);
    expect(problemsOf(["chat:*"])).toEqual(["rooms must be an object"]);
  });
});
