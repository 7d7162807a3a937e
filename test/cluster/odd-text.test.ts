import { beforeAll, expect, it } from "vitest";
import { TRANSPORTS } from "../support/client.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithRedis } from "../support/redis.ts";
import { connectWitness, type Witness } from "../support/witness.ts";
import { deep, hidden } from "../support/wrong-fields.ts";

const ENTRY_START = '],"except":[],"flags":{}},"packet":{"type":2,"nsp":"/","data":["message",{"seq":1,"ts":1';
const PRESENCE =
  '{"version":9,"count":9,"by":"x","uid":"roomcast","nsp":"/","type":3,"data":{"packet":{"data":["userLeft"';

/** Texts that something on the way could take for its own, or fail to carry. */
const TEXTS: Record<string, string> = {
  quotes: `"'\`\\"\\\\"`,
  "line separators": "a\u2028b\u2029c\r\nd\u0085e",
  "lone surrogates": "\ud800 x \udfff\udfff \ud83d",
  "NUL and other controls": "a\u0000b\u001ec\u007fd\ufffe\uffff\ufeff",
  "characters of four bytes": "😀👩‍👩‍👧‍👦𝕏".repeat(100),
  "the start of an entry": ENTRY_START,
  "the end of an entry": "}]}}}]}}}",
  "a presence change": PRESENCE,
  "a Socket.IO packet": '42["message",{"room":"chat:odd"}]\u001e4',
  markup: "</script><img src=x onerror=alert(1)>%00%s{}[[*]]",
};

/** Values that are JSON, if only just. */
const VALUES: Record<string, unknown> = {
  null: null,
  false: false,
  zero: 0,
  "the empty text": "",
  "the largest number": 1.7976931348623157e308,
  "as deep as may be": deep(199),
  "as large as may be": "x".repeat(64 * 1024 - 2),
  "keys of every kind": { "": 1, "\u0000": 2, '"': 3, "\ud800": 4, "😀": 5, seq: 6, room: "chat:else", ts: 7 },
  "names of methods": { constructor: { prototype: 1 }, toJSON: "x", hasOwnProperty: 1, length: -1 },
  "a prototype": hidden('{"polluted":true}'),
  "what looks like binary": { _placeholder: true, num: 0, more: [{ _placeholder: true, num: 99 }] },
  ...TEXTS,
};

// JSON texts, because a comparison of objects does not see a field called __proto__.
const json = (values: readonly unknown[]) => values.map((value) => JSON.stringify(value));

describeWithRedis("text and data that are hard to carry", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster({ env: { RATE_LIMITS: "off" } });
    return () => cluster.stop();
  });

  /** A receiver by each transport, each on another node. */
  const receivers = async (room: string): Promise<Witness[]> => {
    const all: Witness[] = [];
    for (const [index, transports] of Object.values(TRANSPORTS).entries()) {
      const receiver = await connectWitness(cluster.urls[index] ?? "", { transports });
      await receiver.ok("joinRoom", { room });
      all.push(receiver);
    }
    return all;
  };
  const values = Object.values(VALUES);

  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    it(`[G2] data is carried whole to every receiver, in history, and when it was missed (sent by ${name})`, async () => {
      const room = `chat:data-${transports.join()}`;
      const all = await receivers(room);
      const sender = await connectWitness(cluster.urls[0] ?? "", { transports });
      const { position } = await sender.ok("joinRoom", { room });
      for (const value of values) await sender.ok("sendMessage", { room, data: value });
      const whole = json(values);
      await eventually(() => {
        for (const one of [...all, sender])
          expect(one.of("message").map(({ data }) => JSON.stringify(data))).toEqual(whole);
      });
      for (const one of all) {
        const read = await one.ok("getHistory", { room, limit: 100 });
        expect(json(read.messages.map(({ data }) => data))).toEqual(whole);
        const again = await one.ok("joinRoom", { room, since: position });
        expect(again.recovered).toBe(true);
        expect(json(again.messages.map(({ data }) => data))).toEqual(whole);
      }
      expect(({} as { polluted?: true }).polluted).toBeUndefined();
    });

    it(`signals carry the same, and binary, to every receiver (sent by ${name})`, async () => {
      const room = `chat:signal-${transports.join()}`;
      const all = await receivers(room);
      const sender = await connectWitness(cluster.urls[0] ?? "", { transports });
      await sender.ok("joinRoom", { room });
      const binary = { list: [Buffer.from([0, 255]), Buffer.alloc(0), "text"] };
      for (const data of [...values, binary]) await sender.ok("sendSignal", { room, event: "odd", data });
      await sender.ok("sendSignal", { room, event: "nothing" });
      await eventually(() => {
        for (const one of all) {
          const heard = one.of("signal");
          expect(json(heard.slice(0, values.length).map(({ data }) => data))).toEqual(json(values));
          expect(heard.slice(values.length).map(({ data }) => data)).toEqual([binary, undefined]);
        }
      });
    });
  }

  it("state, names, users, ids, events and rooms of odd text reach everybody whole", async () => {
    const odd = Object.entries(TEXTS).filter(([, text]) => text.isWellFormed() && Buffer.byteLength(text) <= 128);
    expect(odd.length).toBeGreaterThan(5);
    for (const [title, text] of odd) {
      const room = `chat:${text.replaceAll(/[\p{Cc}\p{Zs}\p{Zl}\p{Zp}\s{}*]/gu, "")}`;
      const user = { id: text, name: text, state: { [text]: [text], ...(hidden('{"a":1}') as object) } };
      const all = await receivers(room);
      const odd = await connectWitness(cluster.urls[1] ?? "", { claims: { sub: user.id, name: user.name } });
      const joined = await odd.ok("joinRoom", { room, state: user.state });
      expect(joined.room, title).toBe(room);
      expect(joined.members.at(-1), title).toEqual(user);
      const { seq } = await odd.ok("sendMessage", { room, id: text, event: text, data: text });
      const again = await odd.ok("sendMessage", { room, id: text, data: "another" });
      expect(again, title).toMatchObject({ id: text, seq, duplicate: true });
      odd.socket.disconnect();
      await eventually(() => {
        for (const one of all) {
          expect(one.of("userJoined", room).at(-1)?.user, title).toEqual(user);
          const from = { id: user.id, name: user.name };
          expect(one.of("message", room), title).toMatchObject([
            { room, seq, id: text, event: text, from, data: text },
          ]);
          expect(one.of("userLeft", room), title).toMatchObject([{ room, user, memberCount: 3 }]);
        }
      });
      for (const { socket } of all) socket.disconnect();
    }
  });
});
