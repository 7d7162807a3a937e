import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decode, entryEnvelope } from "../../src/log/envelope.ts";

const EPOCH = "aB3_-xYz01";
const ROOM_LIKE = fc.string({ unit: "binary", maxLength: 60 });

/** As `append.lua` puts it together. */
function encode(room: string, seq: number, prev: number, ts: number, epoch: string, body: string): Buffer {
  return Buffer.from(`{"seq":${seq},"prev":${prev},"ts":${ts},"epoch":"${epoch}"${entryEnvelope(room)}${body}]}}}`);
}

/** Text that tries to look like pieces of the format. */
const hostileText = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '"packet":{"type":2,"nsp":"/","data":["message",',
        '],"except":[],"flags":{}},"packet":{"type":2,"nsp":"/","data":["message",',
        "]}}}",
        '{"seq":1,"prev":0,"ts":1,"epoch":"x"',
        '"',
        "\\",
        "\u2028",
        "\ud800",
        "\u0000",
        "😀",
      ),
      fc.string({ maxLength: 10 }),
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join(""));

/** Data whose JSON text holds, unescaped, what stands before the body. */
const LOOKALIKE = {
  a: { b: { rooms: ["x"], except: [], flags: {} }, packet: { type: 2, nsp: "/", data: ["message", { c: [[[]]] }] } },
};
const hostileJson = fc.oneof(
  fc.constant(LOOKALIKE),
  fc.jsonValue(),
  hostileText,
  fc.dictionary(hostileText, hostileText),
);
const number = fc.nat({ max: 999_999_999_999_999 });

describe("the envelope of an entry", () => {
  it("comes back as it was put together, whatever room and data hold", () => {
    fc.assert(
      fc.property(
        fc.oneof(ROOM_LIKE, hostileText),
        hostileJson,
        number,
        number,
        number,
        (room, data, seq, prev, ts) => {
          const body = JSON.stringify({ seq, ts, room, data });
          const bytes = encode(room, seq, prev, ts, EPOCH, body);
          expect(decode(bytes)).toEqual({
            kind: "entry",
            entry: { epoch: EPOCH, seq, prev, ts, body: Buffer.from(body) },
          });
          expect(JSON.parse(String(bytes))).toMatchObject({
            uid: "roomcast",
            nsp: "/",
            type: 3,
            data: {
              opts: { rooms: [room.toWellFormed() === room ? room : expect.any(String)], except: [], flags: {} },
            },
          });
        },
      ),
    );
  });

  it("the body is a copy: it does not hold the chunk that it came in", () => {
    const chunk = Buffer.concat([Buffer.alloc(5), encode("r", 1, 0, 2, EPOCH, '{"seq":1}'), Buffer.alloc(5)]);
    const heard = decode(chunk.subarray(5, -5));
    chunk.fill(0);
    expect(heard.kind === "entry" && heard.entry.body.toString()).toBe('{"seq":1}');
  });

  it("what only looks like ours is for the stock adapter, and never an error", () => {
    const good = encode("chat:1", 12, 3, 4, EPOCH, '{"a":1}');
    expect(decode(good).kind).toBe("entry");
    for (let length = 0; length < good.length; length++) expect(decode(good.subarray(0, length)).kind).toBe("stock");
    fc.assert(
      fc.property(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
        const broken = Buffer.from(good);
        broken[at] = byte;
        const heard = decode(broken);
        if (heard.kind === "entry") expect(heard.entry.seq).toBeLessThanOrEqual(99);
      }),
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => decode(Buffer.from(bytes)).kind === "stock"));
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom('{"seq":', '{"seq":1,"prev":', '{"version":'),
        (bytes, start) => {
          expect(decode(Buffer.concat([Buffer.from(start), bytes])).kind).toBe("stock");
        },
      ),
    );
  });

  it.each([
    ["a negative seq", good({ seq: "-1" })],
    ["a fraction", good({ seq: "1.5" })],
    ["no digits", good({ seq: "" })],
    ["too many digits", good({ seq: "1234567890123456" })],
    ["an epoch with other characters", good({ epoch: "a b" })],
    ["an empty epoch", good({ epoch: "" })],
    ["an epoch that is too long", good({ epoch: "x".repeat(65) })],
    ["a body that is no object", good({ body: "[1]" })],
    [
      "a stock broadcast",
      '{"uid":"abc","nsp":"/","type":3,"data":{"opts":{"rooms":["r"]},"packet":{"type":2,"data":["message",{}]}}}',
    ],
    ["an end that is not the format's", `${good({}).slice(0, -4)}]}}]`],
    ["another uid", good({}).replace("roomcast", "roomcost")],
  ])("%s is for the stock adapter", (_what, text) => {
    expect(decode(Buffer.from(text)).kind).toBe("stock");
  });

  function good({ seq = "1", epoch = EPOCH, body = "{}" }: { seq?: string; epoch?: string; body?: string }): string {
    return `{"seq":${seq},"prev":0,"ts":1,"epoch":"${epoch}"${entryEnvelope("r")}${body}]}}}`;
  }
});

describe("the envelope of a presence change", () => {
  const message = {
    version: 17,
    count: 3,
    by: "c1",
    uid: "roomcast",
    nsp: "/",
    type: 3,
    data: {
      opts: { rooms: ["chat:42"], except: ["c1"], flags: {} },
      packet: { type: 2, nsp: "/", data: ["userJoined", { room: "chat:42", user: { id: "ada", state: { a: 1 } } }] },
    },
  };

  it("comes back as a change", () => {
    expect(decode(Buffer.from(JSON.stringify(message)))).toEqual({
      kind: "presence",
      change: { kind: "userJoined", user: { id: "ada", state: { a: 1 } }, memberCount: 3, version: 17, by: "c1" },
    });
  });

  it.each<[string, object]>([
    ["without a count", { count: undefined }],
    ["with a version that is no whole number", { version: 1.5 }],
    ["of another uid", { uid: "x" }],
    ["without data", { data: null }],
    ["with another event", { data: { packet: { data: ["message", { user: { id: "ada" } }] } } }],
    ["without a user", { data: { packet: { data: ["userLeft", {}] } } }],
    ["with a user without id", { data: { packet: { data: ["userLeft", { user: { name: "x" } }] } } }],
    ["with a state that is no object", { data: { packet: { data: ["userLeft", { user: { id: "x", state: 1 } }] } } }],
  ])("%s it is for the stock adapter", (_what, change) => {
    expect(decode(Buffer.from(JSON.stringify({ ...message, ...change }))).kind).toBe("stock");
  });
});
