import fc from "fast-check";
import { expect, it } from "vitest";
import { Keys } from "../../src/redis/keys.ts";

const keys = new Keys("roomcast");
const name = fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 });
const space = fc.constantFrom("u" as const, "k" as const);

/** What Redis hashes of a key: what stands between the first brace and the next closing one. */
function hashed(key: string): string {
  const open = key.indexOf("{");
  const close = key.indexOf("}", open);
  return open === -1 || close <= open + 1 ? key : key.slice(open + 1, close);
}

it("a room's channel is the sharded adapter's", () => {
  expect(keys.channel("chat:42")).toBe("roomcast#/#chat:42#");
  expect(keys.log("chat:42")).toBe("{roomcast#/#chat:42#}:log");
});

it("what Redis hashes of every key of a room is the room's channel, whatever senders and ids hold", () => {
  fc.assert(
    fc.property(name, name, name, (room, sender, id) => {
      fc.pre(!/[{}]/.test(room));
      const all = [keys.meta(room), keys.log(room), keys.presence(room), keys.members(room), keys.bans(room)];
      all.push(keys.dedupe(room, "u", sender, id), keys.left(room, id));
      all.push(keys.outbox(room), keys.outboxDropped(room), keys.outboxHolder(room), keys.connections(room));
      for (const key of all) expect(hashed(key)).toBe(keys.channel(room));
      expect(new Set(all).size).toBe(all.length);
    }),
  );
});

it("[G1] no two pairs of user and id share an entry, however they are spelt", () => {
  const spelling = fc
    .array(fc.constantFrom(":", "a", "1", "2", "é", "u", "k"), { maxLength: 5 })
    .map((all) => all.join(""));
  const triple = fc.tuple(space, spelling, spelling);
  fc.assert(
    fc.property(triple, triple, (one, other) => {
      const same = one.every((part, i) => part === other[i]);
      expect(keys.dedupe("r", ...one) === keys.dedupe("r", ...other)).toBe(same);
    }),
    { numRuns: 2_000 },
  );
});
