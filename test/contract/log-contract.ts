import { describe, expect, it } from "vitest";
import { removalOf, removalRest } from "../../src/log/removal.ts";
import type { Entry, Page, Position, RoomLog } from "../../src/log/room-log.ts";
import { eventually } from "../support/eventually.ts";
import { draft, join, RETENTION, seenAs, WIDE } from "./drafts.ts";
import type { World, WorldFactory } from "./world.ts";

const ROOM = "chat:1";

function seqs(page: Pick<Page, "entries">): number[] {
  return page.entries.map(({ seq }) => seq);
}

function data(entry: Entry | undefined): unknown {
  return (JSON.parse(String(entry?.body)) as { data: unknown }).data;
}

function positionOf({ epoch, seq, ts }: Position): Position {
  return { epoch, seq, ts };
}

async function appendMany(log: RoomLog, count: number, options: Parameters<typeof draft>[1] = {}, start = 1) {
  const ids = Array.from({ length: count }, (_, i) => `m${start + i}`);
  return Promise.all(ids.map((id) => log.append(ROOM, draft(id, options))));
}

/** What `RoomLog` promises, for every implementation. */
export function logContract(makeWorld: WorldFactory): void {
  describe("a removal", () => {
    const removal = (seq: number, ts: number, options: Parameters<typeof draft>[1] = {}) => ({
      ...draft(String(seq), options),
      space: "r" as const,
      sender: "",
      rest: removalRest(ROOM, seq),
      removes: { seq, ts, tombstone: `{"seq":${seq},"ts":${ts},"removed":true}` },
    });

    it("[G3] is read as its tombstone by every page, and the chain goes on over it", async () => {
      const { log } = await makeWorld();
      await appendMany(log, 3);
      const before = await log.readAfter(ROOM, 0, WIDE, RETENTION);
      const { ts = 0 } = before.entries[1] ?? {};
      const stored = await log.append(ROOM, removal(2, ts));
      expect(stored).toMatchObject({ seq: 4, duplicate: false });
      const after = await log.readAfter(ROOM, 0, WIDE, RETENTION);
      expect(seqs(after)).toEqual([1, 2, 3, 4]);
      expect(after.entries.map((entry) => removalOf(entry)?.seq)).toEqual([undefined, undefined, undefined, 2]);
      expect(String(after.entries[1]?.body)).toBe(`{"seq":2,"ts":${ts},"removed":true}`);
      for (const [index, entry] of after.entries.entries()) {
        expect(entry.prev).toBe(after.entries[index - 1]?.ts ?? 0);
        if (index < 3) expect({ ...entry, body: "" }).toEqual({ ...before.entries[index], body: "" });
      }
      const backwards = await log.readBefore(ROOM, 4, WIDE, RETENTION);
      expect(backwards.entries).toEqual(after.entries.slice(0, 3));
      const one = await log.readAfter(ROOM, 1, { maxMessages: 1, maxBytes: 1 }, RETENTION);
      expect(one.entries).toEqual(after.entries.slice(1, 2));
    });

    it("[G3] is published in its place, as an entry like all others", async () => {
      const { log, hear } = await makeWorld();
      const ear = await hear(ROOM);
      const { ts } = await log.append(ROOM, draft("a"));
      const { epoch, seq, ts: at } = await log.append(ROOM, removal(1, ts));
      await log.append(ROOM, draft("b"));
      await eventually(() => expect(ear.entries).toHaveLength(3));
      const [, heard, next] = ear.entries;
      if (heard === undefined) throw new Error("nothing was heard");
      expect(removalOf(heard)).toEqual({ room: ROOM, seq: 1, at: { seq, ts: at } });
      expect(heard).toMatchObject({ epoch, seq: 2, prev: ts });
      expect(next).toMatchObject({ seq: 3, prev: at });
    });

    it("[G1] leaves the id of the message: sent again it is a duplicate; removed again it is one entry", async () => {
      const { log } = await makeWorld();
      const first = await log.append(ROOM, draft("a"));
      const once = await log.append(ROOM, removal(1, first.ts));
      expect(await log.append(ROOM, removal(1, first.ts))).toEqual({ ...once, duplicate: true });
      expect(await log.append(ROOM, draft("a", { data: "2" }))).toEqual({ ...first, duplicate: true });
      expect(seqs(await log.readAfter(ROOM, 0, WIDE, RETENTION))).toEqual([1, 2]);
    });

    it("[G2] of the same turn as messages comes behind those that were appended before, and in front of the others", async () => {
      const { log } = await makeWorld();
      const { ts } = await log.append(ROOM, draft("a"));
      const appends = [draft("b"), draft("c"), removal(1, ts), draft("d")].map((each) => log.append(ROOM, each));
      expect((await Promise.all(appends)).map(({ seq }) => seq)).toEqual([2, 3, 4, 5]);
      const { entries } = await log.readAfter(ROOM, 0, WIDE, RETENTION);
      expect(entries.map((entry) => removalOf(entry)?.seq)).toEqual([undefined, undefined, undefined, 1, undefined]);
      expect(String(entries[0]?.body)).toContain('"removed":true');
    });

    it("rejects with `not_found`, and stores nothing, where nothing stands there, or something else", async () => {
      const { log } = await makeWorld();
      const { ts } = await log.append(ROOM, draft("a"));
      for (const wrong of [removal(2, ts), removal(1, ts + 1)]) {
        await expect(log.append(ROOM, wrong)).rejects.toMatchObject({ code: "not_found" });
      }
      expect(seqs(await log.readAfter(ROOM, 0, WIDE, RETENTION))).toEqual([1]);
    });

    it("of many, in a log that forgets the oldest, only those count that are still there", async () => {
      const { log } = await makeWorld();
      const retention = { maxMessages: 6 };
      for (let i = 0; i < 12; i++) {
        const { seq, ts } = await log.append(ROOM, draft(`m${i}`, { retention }));
        await log.append(ROOM, removal(seq, ts, { retention }));
      }
      const { entries } = await log.readAfter(ROOM, 18, WIDE, RETENTION);
      expect(entries.map((entry) => String(entry.body).includes('"removed":true'))).toEqual([
        true,
        false,
        true,
        false,
        true,
        false,
      ]);
    });

    it("goes with the others when the room is purged, and hides nothing that comes later", async () => {
      const { log } = await makeWorld();
      const { ts } = await log.append(ROOM, draft("a"));
      await log.append(ROOM, removal(1, ts));
      await log.purge(ROOM);
      await log.append(ROOM, draft("b", { data: '"b"' }));
      expect((await log.readAfter(ROOM, 0, WIDE, RETENTION)).entries.map(data)).toEqual(["b"]);
    });
  });

  describe("append", () => {
    it("[G1] what was acknowledged can be read, byte for byte", async () => {
      const { log } = await makeWorld();
      const text = JSON.stringify(["\u2028\u2029", '"\\', "\ud800", "😀", { "]}}}": '"packet":{"type":2' }]);
      const { epoch, seq, ts, duplicate } = await log.append(ROOM, draft("a", { data: text }));
      expect({ seq, duplicate }).toEqual({ seq: 1, duplicate: false });
      const page = await log.readAfter(ROOM, 0, WIDE, RETENTION);
      const body = `{"seq":1,"ts":${ts},${draft("a", { data: text }).rest}`;
      expect(page).toEqual({
        entries: [{ epoch, seq: 1, ts, prev: 0, body: Buffer.from(body) }],
        head: { epoch, seq, ts },
        more: false,
      });
    });

    it("[G1] the same id again is acknowledged with the first one's place, whatever its data, and not stored", async () => {
      const { log } = await makeWorld();
      const first = await log.append(ROOM, draft("a", { data: "1" }));
      await log.append(ROOM, draft("b"));
      expect(await log.append(ROOM, draft("a", { data: "2" }))).toEqual({ ...first, duplicate: true });
      const { entries } = await log.readAfter(ROOM, 0, WIDE, RETENTION);
      expect(entries.map(data)).toEqual([1, null]);
    });

    it("[G1] no two pairs of user and id share an entry, and users and API keys share none", async () => {
      const { log } = await makeWorld();
      const stored = [
        await log.append(ROOM, draft("b:k1", { sender: "a" })),
        await log.append(ROOM, draft("k1", { sender: "a:b" })),
        await log.append(ROOM, draft("b:k1", { sender: "a", space: "k" })),
        await log.append(ROOM, draft("1:b:k1", { sender: "" })),
        await log.append(ROOM, draft("é", { sender: "ü" })),
        await log.append(ROOM, draft("", { sender: "üé" })),
        await log.append(ROOM, draft(":é", { sender: "ü" })),
        await log.append("chat:2", draft("b:k1", { sender: "a" })),
      ];
      expect(stored.map(({ duplicate }) => duplicate)).toEqual(stored.map(() => false));
    });

    it("[G1] an id is forgotten after the window", async () => {
      const { log } = await makeWorld({ dedupeMs: 40 });
      await log.append(ROOM, draft("a"));
      await eventually(async () => expect((await log.append(ROOM, draft("a"))).duplicate).toBe(false));
    });

    it("[G1] an id of an earlier epoch counts for as long as its message stands in the log", async () => {
      const { log } = await makeWorld();
      const [first] = [await log.append(ROOM, draft("a")), await log.append(ROOM, draft("b"))];
      const retention = { maxMessages: 3 };
      const { epoch } = await log.append(ROOM, draft("c", { known: { ...positionOf(first), seq: 9 }, retention }));
      expect(epoch).not.toBe(first.epoch);
      const again = { ...first, epoch, duplicate: true };
      expect(await log.append(ROOM, draft("a", { retention }))).toEqual(again);
      expect((await log.readAfter(ROOM, 0, WIDE, RETENTION)).entries.map(({ seq }) => seq)).toEqual([1, 2, 3]);
      await appendMany(log, 3, { retention });
      // Once found it is of the epoch of now, where an id counts for its whole life. Of the other one nobody can tell any more.
      expect(await log.append(ROOM, draft("a", { retention }))).toEqual(again);
      expect(await log.append(ROOM, draft("b", { retention }))).toMatchObject({ epoch, seq: 7, duplicate: false });
    });

    it("[G1] [G5] an id that finds a fork, and its message before it, starts the epoch and is stored no second time", async () => {
      const { log } = await makeWorld();
      const first = await log.append(ROOM, draft("a"));
      const known = { ...positionOf(first), seq: 9 };
      const again = await log.append(ROOM, draft("a", { known }));
      expect(again).toEqual({ ...first, epoch: again.epoch, duplicate: true });
      expect(again.epoch).not.toBe(first.epoch);
      expect(await log.readAfter(ROOM, 0, WIDE, RETENTION)).toMatchObject({
        entries: [{ epoch: again.epoch, seq: 1 }],
        head: { epoch: again.epoch, seq: 1, ts: first.ts },
      });
      expect(await log.append(ROOM, draft("b"))).toMatchObject({ epoch: again.epoch, seq: 2 });
    });

    it("[G1] an id counts no more once its message was purged", async () => {
      const { log } = await makeWorld();
      await log.append(ROOM, draft("a"));
      await log.purge(ROOM);
      expect(await log.append(ROOM, draft("a"))).toMatchObject({ seq: 2, duplicate: false });
    });

    it("[G2] appends called one after the other are stored and published in that order, as one chain", async () => {
      const { log, hear } = await makeWorld();
      const ear = await hear(ROOM);
      const stored = await appendMany(log, 200);
      expect(stored.map(({ seq }) => seq)).toEqual(stored.map((_, i) => i + 1));
      const { entries } = await log.readAfter(ROOM, 0, WIDE, RETENTION);
      let last: Entry | undefined;
      for (const entry of entries) {
        expect(entry.prev).toBe(last?.ts ?? 0);
        expect(entry.ts).toBeGreaterThanOrEqual(last?.ts ?? 0);
        last = entry;
      }
      await eventually(() => expect(ear.entries).toHaveLength(200));
      expect(ear.entries).toEqual(entries);
    });

    it("[G1] a duplicate is not published again", async () => {
      const { log, hear } = await makeWorld();
      const ear = await hear(ROOM);
      await log.append(ROOM, draft("a"));
      await log.append(ROOM, draft("a"));
      await log.append(ROOM, draft("b"));
      await eventually(() => expect(seqs(ear)).toEqual([1, 2]));
    });
  });

  describe("appends of one turn", () => {
    const appendAll = (log: RoomLog, ids: readonly string[], options: Parameters<typeof draft>[1] = {}) =>
      Promise.all(ids.map((id) => log.append(ROOM, draft(id, options))));

    it("[G1] an id that comes twice is stored once, one that is known not at all, and the others in their order", async () => {
      const { log, hear } = await makeWorld();
      const ear = await hear(ROOM);
      await appendAll(log, ["old"]);
      const stored = await appendAll(log, ["a", "b", "a", "old", "c", "c"]);
      expect(stored.map(({ seq, duplicate }) => [seq, duplicate])).toEqual([
        [2, false],
        [3, false],
        [2, true],
        [1, true],
        [4, false],
        [4, true],
      ]);
      const { entries } = await log.readAfter(ROOM, 0, WIDE, RETENTION);
      expect(entries.map(({ body }) => (JSON.parse(String(body)) as { id: string }).id)).toEqual([
        "old",
        "a",
        "b",
        "c",
      ]);
      await eventually(() => expect(ear.entries).toEqual(entries));
      expect(await appendAll(log, ["c", "a", "b"])).toMatchObject([{ seq: 4 }, { seq: 2 }, { seq: 3 }]);
      expect((await log.readAfter(ROOM, 0, WIDE, RETENTION)).head.seq).toBe(4);
    });

    it("[G2] to several rooms are stored in the order of each", async () => {
      const { log, hear } = await makeWorld();
      const rooms = ["chat:1", "chat:2", "chat:3"];
      const ears = await Promise.all(rooms.map(hear));
      const appends = Array.from({ length: 30 }, (_, i) => log.append(rooms[i % 3] ?? "", draft(`m${i}`)));
      expect((await Promise.all(appends)).map(({ seq }) => seq)).toEqual(appends.map((_, i) => Math.floor(i / 3) + 1));
      for (const [index, room] of rooms.entries()) {
        const { entries } = await log.readAfter(room, 0, WIDE, RETENTION);
        const ids = entries.map(({ body }) => (JSON.parse(String(body)) as { id: string }).id);
        expect(ids).toEqual(Array.from({ length: 10 }, (_, i) => `m${3 * i + index}`));
        await eventually(() => expect(ears[index]?.entries).toEqual(entries));
      }
    });

    it("[G5] that find a fork are all in the new epoch, and what still stands in the log is stored no second time", async () => {
      const { log, hear } = await makeWorld();
      const old = (await appendMany(log, 3)).at(-1);
      const ear = await hear(ROOM);
      const known = { epoch: old?.epoch ?? "", seq: 9, ts: old?.ts ?? 0 };
      const stored = await Promise.all([
        log.append(ROOM, draft("m1", { known })),
        log.append(ROOM, draft("new")),
        log.append(ROOM, draft("m1", { known })),
      ]);
      expect(stored).toMatchObject([
        { seq: 1, duplicate: true },
        { seq: 4, duplicate: false },
        { seq: 1, duplicate: true },
      ]);
      expect(new Set(stored.map(({ epoch }) => epoch)).size).toBe(1);
      expect(stored[0]?.epoch).not.toBe(old?.epoch);
      await eventually(() => expect(ear.entries.map(({ seq }) => seq)).toEqual([4]));
      expect(ear.entries).toEqual((await log.readAfter(ROOM, 3, WIDE, RETENTION)).entries);
    });

    it("[G9] keep no more messages and no more bytes than the bounds, and always the newest", async () => {
      const { log } = await makeWorld();
      await appendMany(log, 60, { retention: { maxMessages: 7 } });
      expect(seqs(await log.readAfter(ROOM, 0, WIDE, RETENTION))).toEqual([54, 55, 56, 57, 58, 59, 60]);
      const ids = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}${i}`);
      await appendAll(log, ids("small", 400));
      const retention = { maxBytes: 10_000 };
      // So many small ones make room for these that one trimming does not reach over all of them.
      await appendAll(log, ids("large", 8), { data: `"${"x".repeat(1_000)}"`, retention });
      const { entries } = await log.readAfter(ROOM, 0, WIDE, RETENTION);
      expect(entries.reduce((sum, { body }) => sum + body.length, 0)).toBeLessThanOrEqual(10_000);
      expect(entries.length).toBeGreaterThanOrEqual(7);
      expect(entries.at(-1)?.seq).toBe(468);
    });
  });

  describe("bounds", () => {
    it("[G9] keeps no more messages than its bound", async () => {
      const { log } = await makeWorld();
      await appendMany(log, 25, { retention: { maxMessages: 10 } });
      expect(seqs(await log.readAfter(ROOM, 0, WIDE, RETENTION))).toEqual([16, 17, 18, 19, 20, 21, 22, 23, 24, 25]);
    });

    it("[G9] keeps no more bytes than its bound where a large message comes behind very many small ones", async () => {
      const { log } = await makeWorld();
      const retention = { maxBytes: 65_536 };
      await appendMany(log, 600, { retention });
      await log.append(ROOM, draft("large", { data: `"${"x".repeat(60_000)}"`, retention }));
      const { entries } = await log.readAfter(ROOM, 0, WIDE, RETENTION);
      expect(entries.reduce((sum, { body }) => sum + body.length, 0)).toBeLessThanOrEqual(65_536);
      expect(entries.at(-1)?.seq).toBe(601);
    });

    it("[G9] keeps no more bytes than its bound, and always the newest message", async () => {
      const { log } = await makeWorld();
      const retention = { maxBytes: 4_000 };
      for (let i = 1; i <= 60; i++) {
        const { seq } = await log.append(ROOM, draft(`m${i}`, { data: `"${"x".repeat(i * 7)}"`, retention }));
        const { entries } = await log.readAfter(ROOM, 0, WIDE, RETENTION);
        expect(entries.reduce((sum, { body }) => sum + body.length, 0)).toBeLessThanOrEqual(4_000);
        expect(entries.at(-1)?.seq).toBe(seq);
      }
      expect(seqs(await log.readAfter(ROOM, 0, WIDE, RETENTION)).length).toBeGreaterThan(4);
      const { seq } = await log.append(ROOM, draft("big", { data: `"${"x".repeat(9_000)}"`, retention }));
      expect(seqs(await log.readAfter(ROOM, 0, WIDE, RETENTION))).toEqual([seq]);
    });

    it("[G9] entries past their age are never returned, in neither direction", async () => {
      const { log } = await makeWorld();
      await appendMany(log, 20);
      const fresh = { ...RETENTION, maxAgeMs: 30 };
      await eventually(async () => expect(seqs(await log.readAfter(ROOM, 0, WIDE, fresh))).toEqual([]));
      expect((await log.readAfter(ROOM, 0, WIDE, RETENTION)).entries).toHaveLength(20);
      await eventually(async () => {
        const { seq } = await log.append(ROOM, draft(`now${Math.random()}`));
        const after = await log.readAfter(ROOM, 0, WIDE, fresh);
        const before = await log.readBefore(ROOM, undefined, WIDE, fresh);
        for (const page of [after, before]) {
          expect(page.entries[0]?.seq).toBeGreaterThan(20);
          expect(page.entries.at(-1)?.seq).toBe(seq);
        }
        expect(before.more).toBe(false);
      });
    });
  });

  describe("reading", () => {
    it("goes forward in pages, exclusive of where it starts, and says whether more follow", async () => {
      const { log } = await makeWorld();
      const stored = await appendMany(log, 10);
      const size = { ...WIDE, maxMessages: 4 };
      const head = positionOf(stored[9] ?? { epoch: "", seq: 0, ts: 0 });
      const pages = [0, 4, 8, 10, 99].map((seq) => log.readAfter(ROOM, seq, size, RETENTION));
      expect((await Promise.all(pages)).map((page) => [seqs(page), page.more, page.head])).toEqual([
        [[1, 2, 3, 4], true, head],
        [[5, 6, 7, 8], true, head],
        [[9, 10], false, head],
        [[], false, head],
        [[], false, head],
      ]);
      expect((await log.readAfter(ROOM, 6, size, RETENTION)).more).toBe(false);
    });

    it("goes backward in pages, oldest first, exclusive of where it starts, and says whether more follow", async () => {
      const { log } = await makeWorld();
      await appendMany(log, 10);
      const size = { ...WIDE, maxMessages: 4 };
      const pages = [undefined, 7, 3, 1, 99].map((seq) => log.readBefore(ROOM, seq, size, RETENTION));
      expect((await Promise.all(pages)).map((page) => [seqs(page), page.more])).toEqual([
        [[7, 8, 9, 10], true],
        [[3, 4, 5, 6], true],
        [[1, 2], false],
        [[], false],
        [[7, 8, 9, 10], true],
      ]);
    });

    it("[G9] bounds a page by bytes too, and returns at least one entry", async () => {
      const { log } = await makeWorld();
      const sized = (bytes: number) => `"${"x".repeat(bytes)}"`;
      for (const [i, bytes] of [3_000, 100, 100, 5_000, 100].entries()) {
        await log.append(ROOM, draft(`m${i}`, { data: sized(bytes) }));
      }
      const size = { maxMessages: 500, maxBytes: 4_000 };
      const forward = await Promise.all([0, 3, 4].map((seq) => log.readAfter(ROOM, seq, size, RETENTION)));
      expect(forward.map((page) => [seqs(page), page.more])).toEqual([
        [[1, 2, 3], true],
        [[4], true],
        [[5], false],
      ]);
      const backward = await Promise.all([undefined, 5, 4].map((seq) => log.readBefore(ROOM, seq, size, RETENTION)));
      expect(backward.map((page) => [seqs(page), page.more])).toEqual([
        [[5], true],
        [[4], true],
        [[1, 2, 3], false],
      ]);
    });

    it("starts later where the first entries are gone", async () => {
      const { log } = await makeWorld();
      await appendMany(log, 10, { retention: { maxMessages: 3 } });
      expect(await log.readAfter(ROOM, 2, WIDE, RETENTION)).toMatchObject({
        entries: [{ seq: 8 }, {}, {}],
        more: false,
      });
      expect(await log.readBefore(ROOM, undefined, { ...WIDE, maxMessages: 3 }, RETENTION)).toMatchObject({
        entries: [{ seq: 8 }, {}, {}],
        more: false,
      });
    });

    it("of a room that nobody used makes nothing", async () => {
      const { log } = await makeWorld();
      const nothing = { entries: [], head: { epoch: "", seq: 0, ts: 0 }, more: false };
      expect(await log.readAfter("none", 5, WIDE, RETENTION)).toEqual(nothing);
      expect(await log.readBefore("none", undefined, WIDE, RETENTION)).toEqual(nothing);
      expect(await log.readAfter("none", 0, WIDE, RETENTION)).toEqual(nothing);
    });
  });

  describe("epochs", () => {
    it("[G5] an append with a known position that the log does not reach starts an epoch; the numbers go on", async () => {
      const { log, hear } = await makeWorld();
      const ear = await hear(ROOM);
      const old = (await appendMany(log, 5)).at(-1);
      const known = { epoch: old?.epoch ?? "", seq: 6, ts: old?.ts ?? 0 };
      const next = await log.append(ROOM, draft("next", { known }));
      expect(next.epoch).not.toBe(old?.epoch);
      expect(next.seq).toBe(6);
      expect(seqs(await log.readAfter(ROOM, 0, WIDE, RETENTION))).toEqual([1, 2, 3, 4, 5, 6]);
      await eventually(() => expect(ear.entries.at(-1)).toMatchObject({ epoch: next.epoch, seq: 6, prev: old?.ts }));
    });

    it("[G5] entries read belong to the epoch that the log is in, whenever they were stored", async () => {
      const { log } = await makeWorld();
      const stored = await log.append(ROOM, draft("a"));
      const next = await log.append(ROOM, draft("b", { known: { ...positionOf(stored), seq: 2 } }));
      const pages = [
        await log.readAfter(ROOM, 0, WIDE, RETENTION),
        await log.readBefore(ROOM, undefined, WIDE, RETENTION),
      ];
      for (const { entries } of pages) expect(entries.map(({ epoch }) => epoch)).toEqual([next.epoch, next.epoch]);
    });

    it.each([
      ["at the head", 5],
      ["below the head", 3],
    ])("[G5] a known position %s with another ts starts an epoch, by append and by check", async (_where, seq) => {
      const { log } = await makeWorld();
      const stored = await appendMany(log, 5);
      const { epoch, ts } = stored[seq - 1] ?? { epoch: "", ts: 0 };
      const [agreeing] = await log.check([{ room: ROOM, position: { epoch, seq, ts }, retention: RETENTION }]);
      expect(agreeing?.epoch).toBe(epoch);
      const [head] = await log.check([{ room: ROOM, position: { epoch, seq, ts: ts - 1 }, retention: RETENTION }]);
      expect(head?.epoch).not.toBe(epoch);
      expect(head?.seq).toBe(5);
      const second = head?.epoch ?? "";
      const kept = await log.append(ROOM, draft("kept", { known: { epoch: second, seq, ts } }));
      expect(kept.epoch).toBe(second);
      const forked = await log.append(ROOM, draft("forked", { known: { epoch: second, seq, ts: ts + 1 } }));
      expect(forked.epoch).not.toBe(second);
      expect(forked.seq).toBe(7);
    });

    it("[G5] a position of another epoch, or behind, is no reason for a new one", async () => {
      const { log } = await makeWorld();
      const [first, second] = await appendMany(log, 2);
      const known = { epoch: "another", seq: 99, ts: 5 };
      expect((await log.append(ROOM, draft("x", { known }))).epoch).toBe(first?.epoch);
      const behind = { room: ROOM, position: positionOf(first ?? known), retention: RETENTION };
      const empty = { room: ROOM, position: { epoch: first?.epoch ?? "", seq: 0, ts: 0 }, retention: RETENTION };
      const heads = await log.check([{ ...behind, position: known }, behind, empty]);
      expect(new Set(heads.map(({ epoch }) => epoch))).toEqual(new Set([second?.epoch]));
    });
  });

  describe("purge", () => {
    it("[G7] removes every entry, starts a new epoch, and the numbers go on", async () => {
      const { log } = await makeWorld();
      const before = await log.append("chat:1", draft("a"));
      await log.append("chat:1", draft("b"));
      await log.purge("chat:1");
      const { entries, head } = await log.readAfter("chat:1", 0, WIDE, RETENTION);
      expect(entries).toEqual([]);
      expect(head.seq).toBe(2);
      expect(head.epoch).not.toBe(before.epoch);
      // What a node still knows of the old line of numbers is no fork of the new one, and old ids count no more.
      const next = await log.append("chat:1", draft("a", { known: positionOf(before) }));
      expect(next).toMatchObject({ epoch: head.epoch, seq: 3, duplicate: false });
      expect(next.ts).toBeGreaterThanOrEqual(before.ts);
      const after = await log.readAfter("chat:1", 0, WIDE, RETENTION);
      expect(after.entries.map(({ seq, prev }) => [seq, prev])).toEqual([[3, head.ts]]);
    });

    it("may be repeated, and makes nothing where nobody used the room", async () => {
      const { log } = await makeWorld();
      await log.purge("chat:1");
      expect((await log.readAfter("chat:1", 0, WIDE, RETENTION)).head).toEqual({ epoch: "", seq: 0, ts: 0 });
      await log.append("chat:1", draft("a"));
      await log.purge("chat:1");
      await log.purge("chat:1");
      expect((await log.append("chat:1", draft("b"))).seq).toBe(2);
    });

    it("the bounds hold for what comes after it", async () => {
      const { log } = await makeWorld();
      const retention = { maxBytes: 400 };
      for (const id of ["a", "b", "c"]) await log.append("chat:1", draft(id, { retention }));
      await log.purge("chat:1");
      for (const id of ["d", "e", "f", "g", "h", "i"]) await log.append("chat:1", draft(id, { retention }));
      const { entries } = await log.readAfter("chat:1", 0, WIDE, RETENTION);
      expect(entries.length).toBeGreaterThan(0);
      expect(entries.reduce((bytes, { body }) => bytes + body.length, 0)).toBeLessThanOrEqual(400);
      expect(entries.at(-1)?.seq).toBe(9);
    });
  });

  describe("check", () => {
    it("answers one head per position, in order, and starts the epoch of a room that has none", async () => {
      const { log, presence } = await makeWorld();
      const stored = await log.append("chat:b", draft("a"));
      const joined = await presence.join(join("ada", "c1", { room: "chat:c" }));
      const position = { epoch: "", seq: 0, ts: 0 };
      const rooms = ["chat:a", "chat:b", "chat:c"].map((room) => ({ room, position, retention: RETENTION }));
      const heads = await log.check(rooms);
      const empty = { messages: 0, bytes: 0 };
      const oldest = expect.stringMatching(/^\S+$/);
      expect(heads).toEqual([
        { epoch: expect.stringMatching(/^[\w-]{8,64}$/), seq: 0, ts: 0, version: 0, memberCount: 0, ...empty, oldest },
        { ...positionOf(stored), version: 0, memberCount: 0, messages: 1, bytes: expect.any(Number), oldest },
        { ...joined.position, version: 1, memberCount: 1, ...empty, oldest },
      ]);
      expect(new Set(heads.map(({ epoch }) => epoch)).size).toBe(3);
      expect(await log.check(rooms)).toEqual(heads);
      expect((await log.append("chat:a", draft("a"))).epoch).toBe(heads[0]?.epoch);
    });

    it("tells how many messages the log holds, and how large they are", async () => {
      const { log } = await makeWorld();
      const retention = { ...RETENTION, maxMessages: 3 };
      for (const id of ["a", "b", "c", "d", "e"]) await log.append("chat:a", draft(id, { retention }));
      const { entries, head } = await log.readAfter("chat:a", 0, WIDE, retention);
      const [checked] = await log.check([{ room: "chat:a", position: head, retention }]);
      const bytes = entries.reduce((sum, { body }) => sum + body.length, 0);
      expect(checked).toMatchObject({ messages: 3, bytes });
    });

    it("[G5] puts the version of presence past what members know, where it is behind", async () => {
      const { log, presence } = await makeWorld();
      const { position } = await presence.join(join("ada", "c1"));
      const versionAfter = async (version: number) =>
        (await log.check([{ room: ROOM, position, retention: RETENTION, version }]))[0]?.version;
      expect([await versionAfter(0), await versionAfter(1)]).toEqual([1, 1]);
      expect([await versionAfter(7), await versionAfter(7), await versionAfter(8)]).toEqual([8, 8, 8]);
      expect(await presence.join(join("ben", "c2"))).toMatchObject({ position, version: 9 });
    });

    it("[G9] takes at most 500 at a time", async () => {
      const { log } = await makeWorld();
      const position = { epoch: "", seq: 0, ts: 0 };
      const rooms = Array.from({ length: 501 }, (_, i) => ({ room: `chat:${i}`, position, retention: RETENTION }));
      await expect(log.check(rooms)).rejects.toThrow("at most 500");
      expect(await log.check(rooms.slice(1))).toHaveLength(500);
      expect(await log.check([])).toEqual([]);
    });
  });

  describe("findChanged", () => {
    const retention = { ...RETENTION, maxMessages: 2 };
    const changes: readonly [string, (world: World, room: string) => Promise<unknown>][] = [
      ["a message", ({ log }, room) => log.append(room, draft("b", { retention }))],
      [
        "one that takes another's place",
        ({ log }, room) => Promise.all(["b", "c", "d"].map((id) => log.append(room, draft(id, { retention })))),
      ],
      ["somebody who comes", ({ presence }, room) => presence.join(join("ada", "c1", { room, retention }))],
      ["a purge", ({ log }, room) => log.purge(room)],
    ];

    it.each(changes)("finds the room with %s, and no other one", async (_, change) => {
      const world = await makeWorld();
      const rooms = Array.from({ length: 250 }, (_, index) => `chat:${index}`);
      for (const room of rooms) await world.log.append(room, draft("a", { retention }));
      const seen = async () => {
        const position = { epoch: "", seq: 0, ts: 0 };
        const heads = await world.log.check(rooms.map((room) => ({ room, position, retention })));
        return rooms.map((room, index) => seenAs(heads[index], room, retention));
      };
      const before = await seen();
      expect(await world.log.findChanged(before)).toEqual(new Set());
      await change(world, "chat:0");
      await change(world, "chat:217");
      expect(await world.log.findChanged(before)).toEqual(new Set(["chat:0", "chat:217"]));
      expect(await world.log.findChanged(await seen())).toEqual(new Set());
    });

    it("takes a room for what it is where the node heard of its messages, and knows them by number and time", async () => {
      const { log } = await makeWorld();
      const room = "chat:a";
      const position = { epoch: "", seq: 0, ts: 0 };
      await log.append(room, draft("a"));
      const [head] = await log.check([{ room, position, retention: RETENTION }]);
      const second = await log.append(room, draft("b"));
      const seen = { ...seenAs(head, room), position: positionOf(second) };
      expect(await log.findChanged([seen])).toEqual(new Set());
      for (const other of [{ epoch: "other" }, { seq: 3 }, { ts: second.ts + 1 }]) {
        const taken = { ...seen, position: { ...seen.position, ...other } };
        expect(await log.findChanged([taken])).toEqual(new Set([room]));
      }
    });

    it("finds a room whose oldest message is too old to be kept, and looks at each by its own age", async () => {
      const { log } = await makeWorld();
      const rooms = [
        { room: "chat:short", retention: { ...RETENTION, maxAgeMs: 1 } },
        { room: "chat:long", retention: RETENTION },
      ];
      for (const { room } of rooms) {
        await log.append(room, draft("a"));
        await log.append(room, draft("b"));
      }
      const position = { epoch: "", seq: 0, ts: 0 };
      const [first, second] = await log.check(rooms.map(({ room }) => ({ room, position, retention: RETENTION })));
      const seen = rooms.map(({ room, retention }, index) => seenAs([first, second][index], room, retention));
      await eventually(async () => expect(await log.findChanged(seen)).toEqual(new Set(["chat:short"])));
    });

    it("[G9] takes at most 500 at a time", async () => {
      const { log } = await makeWorld();
      const rooms = Array.from({ length: 501 }, (_, i) => seenAs(undefined, `chat:${i}`));
      await expect(log.findChanged(rooms)).rejects.toThrow("at most 500");
      expect((await log.findChanged(rooms.slice(1))).size).toBe(500);
      expect(await log.findChanged([])).toEqual(new Set());
    });
  });
}
