import { REQUESTS, type RequestName } from "../../src/protocol.ts";
import type { Dice } from "./dice.ts";

const NAMES = Object.keys(REQUESTS) as RequestName[];
const ROOMS = Array.from({ length: 12 }, (_, n) => `fuzz:${n}`);
const ODD_TEXT = [
  "",
  " ",
  "*",
  "fuzz:*",
  "\u0000",
  "\ud800",
  "__proto__",
  "constructor",
  "{fuzz}",
  "_control",
  "server",
  "x".repeat(20),
  "é".repeat(101),
  "x".repeat(201),
  "..",
  "a%2Fb",
  '"',
  "\u001e",
  "\u2028",
  "😀",
  "1e999",
];
const ODD_NUMBERS = [0, -1, 1, 1.5, 500, 501, 2 ** 31, 2 ** 53, -(2 ** 53), 1e308, 5e-324];
const FIELDS = [
  "room",
  "data",
  "id",
  "event",
  "since",
  "history",
  "state",
  "before",
  "after",
  "limit",
  "cursor",
  "token",
];
const STRANGE_FIELDS = [
  "__proto__",
  "constructor",
  "toString",
  "toJSON",
  "hasOwnProperty",
  "",
  "0",
  "_placeholder",
  "num",
];

/** Any JSON value, of a few levels. */
export function anyValue(dice: Dice, depth = 3): unknown {
  switch (dice.below(depth > 0 ? 8 : 5)) {
    case 0:
      return dice.pick(ODD_TEXT);
    case 1:
      return dice.pick(ODD_NUMBERS);
    case 2:
      return dice.pick([null, true, false]);
    case 3:
      return dice.pick(ROOMS);
    case 4:
      return String.fromCharCode(...dice.times(12, () => dice.below(0x1_0000)));
    case 5:
      return dice.times(4, () => anyValue(dice, depth - 1));
    default:
      return withFields(dice.times(4, () => [anyField(dice), anyValue(dice, depth - 1)]));
  }
}

function anyField(dice: Dice): string {
  return dice.oneIn(4) ? dice.pick(STRANGE_FIELDS) : dice.pick(FIELDS);
}

/** By JSON text, so that `__proto__` becomes a field like any other. */
function withFields(entries: readonly (readonly [string, unknown])[]): object {
  const fields = entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value) ?? "null"}`);
  return JSON.parse(`{${fields.join(",")}}`) as object;
}

const RIGHT: Record<RequestName, (dice: Dice) => Record<string, unknown>> = {
  joinRoom: (dice) => ({ room: dice.pick(ROOMS), history: dice.below(20), state: { mood: dice.below(9) } }),
  leaveRoom: (dice) => ({ room: dice.pick(ROOMS) }),
  sendMessage: (dice) => ({ room: dice.pick(ROOMS), data: anyValue(dice) ?? null }),
  sendSignal: (dice) => ({ room: dice.pick(ROOMS), event: "typing", data: anyValue(dice) }),
  getHistory: (dice) => ({ room: dice.pick(ROOMS), limit: 1 + dice.below(20) }),
  getMembers: (dice) => ({ room: dice.pick(ROOMS) }),
  setState: (dice) => ({ room: dice.pick(ROOMS), state: { n: dice.below(99) } }),
  renewToken: () => ({ token: "eyJhbGciOiJIUzI1NiJ9.e30.x" }),
  kickMember: (dice) => ({ room: dice.pick(ROOMS), user: "nobody", banSeconds: 1 + dice.below(9) }),
  unbanMember: (dice) => ({ room: dice.pick(ROOMS), user: "nobody" }),
  closeRoom: (dice) => ({ room: dice.pick(ROOMS) }),
};

/** A request's name and its payload: right, or changed in one or two fields, or anything. */
export function anyRequest(dice: Dice): { name: string; payload: unknown } {
  const name = dice.pick(NAMES);
  const kind = dice.below(10);
  if (kind === 0) return { name, payload: anyValue(dice) };
  const payload = RIGHT[name](dice);
  if (kind < 5) return { name, payload };
  const changed = Object.entries(payload);
  for (let change = 0; change <= dice.below(2); change++) {
    if (dice.oneIn(4)) changed.splice(dice.below(changed.length), 1);
    else changed.push([dice.oneIn(6) ? anyField(dice) : (dice.pick(Object.keys(payload)) ?? "room"), anyValue(dice)]);
  }
  return { name, payload: withFields(changed) };
}

/** A frame as a client would send it, so that the server answers with `43<id>[…]`. */
export function requestFrame(dice: Dice, id: number): string {
  const { name, payload } = anyRequest(dice);
  const text = JSON.stringify(payload) ?? "null";
  return `42${id}[${JSON.stringify(name)},${dice.oneIn(50) ? nested(dice) : text}]`;
}

function nested(dice: Dice): string {
  const levels = dice.pick([150, 250, 5_000]);
  return `{"room":"fuzz:1","data":${"[".repeat(levels)}${"]".repeat(levels)}}`;
}

const SEEDS = [
  '42["joinRoom",{"room":"fuzz:1"}]',
  '421["sendMessage",{"room":"fuzz:1","data":1}]',
  '451-["sendSignal",{"room":"fuzz:1","event":"e","data":{"_placeholder":true,"num":0}}]',
  "40",
  '40{"token":"x"}',
  "40/admin,",
  "41",
  "431[]",
  '44{"message":"no"}',
  '42["disconnect"]',
  '42["connect"]',
  '42["error","made up"]',
  '42["newListener","x"]',
  '42["__proto__",{}]',
  "42[1,2]",
  "42[]",
  '461-[{"_placeholder":true,"num":7}]',
  "2probe",
  "3",
  "5",
  "6",
  "0",
  "bAAAA",
  "b",
  "",
] as const;

/** A raw Engine.IO packet: one of the protocol's, one that was damaged, or noise. */
export function rawFrame(dice: Dice): string | Uint8Array<ArrayBuffer> {
  const kind = dice.below(10);
  if (kind === 0) return Uint8Array.from(dice.times(40, () => dice.below(256)));
  if (kind === 1) return String.fromCharCode(...dice.times(40, () => dice.below(0x300)));
  const frame = dice.oneIn(2) ? requestFrame(dice, dice.below(1e6)) : dice.pick(SEEDS);
  return kind < 4 ? frame : damaged(dice, frame);
}

function damaged(dice: Dice, frame: string): string {
  const at = dice.below(frame.length + 1);
  switch (dice.below(4)) {
    case 0:
      return frame.slice(0, at) + frame.slice(at + 1);
    case 1:
      return frame.slice(0, at) + String.fromCharCode(dice.below(0x7f)) + frame.slice(at);
    case 2:
      return frame.slice(0, at);
    default:
      return frame.slice(0, at) + frame.slice(dice.below(frame.length + 1));
  }
}
