import type { RequestName } from "../../src/protocol.ts";

/** The room that the payloads name; whoever sends them is in it. */
export const ROOM = "chat:bad";
export const BINARY = Buffer.from([1, 2, 3]);
/** A list in a list in a list…: so many of them. */
export const deep = (levels: number): unknown => JSON.parse(`${"[".repeat(levels)}${"]".repeat(levels)}`);
/** An object whose own field `__proto__` holds this. */
export const hidden = (json: string): unknown => JSON.parse(`{"__proto__":${json}}`);

/** Title, value, and what the answer must name where that is not the field itself. */
type Wrong = readonly [title: string, value: unknown, names?: string];

const notText: Wrong[] = [
  ["a number", 7],
  ["null", null],
  ["a list", ["chat:bad"]],
  ["an object", { name: "chat:bad" }],
  ["binary", BINARY],
  ["deep", deep(500)],
];
const notWhole: Wrong[] = [
  ["a text", "1"],
  ["null", null],
  ["a fraction", 1.5],
  ["beyond whole numbers", 2 ** 53],
  ["binary", BINARY],
];
const notObject: Wrong[] = [
  ["a text", "x"],
  ["a number", 7],
  ["null", null],
  ["a list", []],
  ["binary", BINARY],
];
const text = (bytes: number): Wrong[] => [
  ...notText,
  ["empty", ""],
  ["too long", "x".repeat(bytes + 1)],
  ["too long in bytes", "é".repeat(bytes / 2 + 1)],
  ["half a character", "\ud800"],
];
const state: Wrong[] = [
  ...notObject,
  ["with binary in it", { a: [BINARY] }],
  ["too deep", { deep: deep(200) }],
  ["too large", { text: "x".repeat(4 * 1024) }],
];
const required = (wrong: Wrong[]): Wrong[] => [["missing", undefined], ...wrong];

const since: Wrong[] = [
  ...notObject.filter(([title]) => title !== "binary"),
  ["without seq", { epoch: "e" }, "since.seq"],
  ["without epoch", { seq: 1 }, "since.epoch"],
  ["epoch a number", { epoch: 7, seq: 1 }, "since.epoch"],
  ["epoch too long", { epoch: "e".repeat(65), seq: 1 }, "since.epoch"],
  ["seq negative", { epoch: "e", seq: -1 }, "since.seq"],
  ["seq a text", { epoch: "e", seq: "1" }, "since.seq"],
  ["ts a fraction", { epoch: "e", seq: 1, ts: 0.5 }, "since.ts"],
  ["ts negative", { epoch: "e", seq: 1, ts: -1 }, "since.ts"],
  ["seq only in __proto__", { epoch: "e", ...(hidden('{"seq":1}') as object) }, "since.seq"],
];
const room = required(text(200));
const number = (least: number, most?: number): Wrong[] => [
  ...notWhole,
  ["too small", least - 1],
  ...(most === undefined ? [] : ([["too large", most + 1]] satisfies Wrong[])),
];

/** For every request: a payload that is right, and everything that each of its fields must not be. */
export const REQUEST_FIELDS: Record<RequestName, { right: object; fields: Record<string, Wrong[]> }> = {
  joinRoom: { right: { room: "chat:never" }, fields: { room, since, history: number(0, 500), state } },
  leaveRoom: { right: { room: ROOM }, fields: { room } },
  sendMessage: {
    right: { room: ROOM, data: 1 },
    fields: {
      room,
      data: [
        ["missing", undefined],
        ["binary", BINARY],
        ["with binary in it", { a: [{ b: BINARY }] }],
        ["too deep", deep(201)],
        ["too large", "x".repeat(64 * 1024)],
      ],
      id: text(128),
      event: text(128),
    },
  },
  sendSignal: {
    right: { room: ROOM, event: "typing" },
    fields: {
      room,
      event: required(text(128)),
      data: [
        ["too deep", deep(201)],
        ["too large", "x".repeat(64 * 1024)],
        ["too large in binary", { a: Buffer.alloc(40_000), b: Buffer.alloc(40_000) }],
      ],
    },
  },
  getHistory: {
    right: { room: ROOM },
    fields: {
      room,
      before: number(1),
      after: [...number(0), ["together with before", 1, "before"]],
      limit: number(1, 500),
    },
  },
  getMembers: {
    right: { room: ROOM },
    fields: {
      room,
      cursor: [...notText, ["too long", "1".repeat(65)], ["not one of ours", "seven"], ["empty", ""]],
      limit: number(1, 100),
    },
  },
  setState: { right: { room: ROOM, state: {} }, fields: { room, state: required(state) } },
  renewToken: { right: { token: "x" }, fields: { token: required([...notText, ["empty", ""]]) } },
  kickMember: {
    right: { room: ROOM, user: "nobody" },
    fields: { room, user: required(text(128)), banSeconds: number(1, 315_360_000) },
  },
  unbanMember: { right: { room: ROOM, user: "nobody" }, fields: { room, user: required(text(128)) } },
  closeRoom: { right: { room: ROOM }, fields: { room } },
};
