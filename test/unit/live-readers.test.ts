import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Frame } from "../../src/feed/frame.ts";
import { LiveReaders } from "../../src/feed/live-readers.ts";
import { type Line, type Outlet, Reader } from "../../src/feed/reader.ts";
import type { Position } from "../../src/log/room-log.ts";

const place = (seq: number): Position => ({ epoch: "e", seq, ts: seq });
const frame = (seq: number) => Frame.ofEvent("message", JSON.stringify({ seq }));

type Seq = { seq: number };

/** A reader whose connection notes each write as the numbers that were in it. */
function reader(takes: () => boolean = () => true) {
  const writes: number[][] = [];
  const outlet: { -readonly [Key in keyof Outlet]: Outlet[Key] } = {
    connection: "c",
    line: undefined,
    keepsUp: takes,
    write: ({ parts }) => {
      writes.push(parts.map(({ text }) => (JSON.parse(text.slice(1)) as [string, Seq])[1].seq));
      return takes();
    },
    offer: () => false,
    drained: () => Promise.resolve(),
  };
  return { reader: new Reader(outlet, place(0), 0), outlet, writes };
}

/** The short way to a connection, which notes the numbers of each write, too. */
function line(takes: () => boolean = () => true) {
  const writes: number[][] = [];
  const made: { -readonly [Key in keyof Line]: Line[Key] } = {
    isClear: true,
    write: (bytes) => {
      writes.push([...bytes.toString("latin1").matchAll(/"seq":(\d+)/g)].map(([, seq]) => Number(seq)));
      return takes();
    },
  };
  return { line: made, writes };
}

function live() {
  const counted = { messages: 0 };
  const slow: [Reader, number][] = [];
  const readers = new LiveReaders(
    {
      written(messages, to) {
        counted.messages += messages * to;
      },
    },
    { fellBehind: (one, { seq }) => void slow.push([one, seq]) },
  );
  return { readers, counted, slow };
}

describe("live readers", () => {
  it("get what comes in one chunk as one write, in the same turn", async () => {
    const { readers, counted } = live();
    const [a, b] = [reader(), reader()];
    readers.add(a.reader);
    readers.add(b.reader);
    for (const seq of [1, 2, 3]) readers.pass(frame(seq), place(seq));
    expect(a.writes).toEqual([]);
    await Promise.resolve();
    expect([a.writes, b.writes]).toEqual([[[1, 2, 3]], [[1, 2, 3]]]);
    readers.pass(frame(4), place(4));
    await Promise.resolve();
    expect(a.writes).toEqual([[1, 2, 3], [4]]);
    expect(counted.messages).toBe(8);
  });

  it("[G2] one that is added while something waits does not get it, and what comes then it gets", async () => {
    const { readers } = live();
    const [early, late] = [reader(), reader()];
    readers.add(early.reader);
    readers.pass(frame(1), place(1));
    readers.add(late.reader);
    readers.pass(frame(2), place(2));
    await Promise.resolve();
    expect(early.writes.flat()).toEqual([1, 2]);
    expect(late.writes.flat()).toEqual([2]);
  });

  it("[G3] one that is removed gets nothing more, also of what waits", async () => {
    const { readers } = live();
    const one = reader();
    readers.add(one.reader);
    readers.pass(frame(1), place(1));
    readers.remove(one.reader);
    await Promise.resolve();
    expect(one.writes).toEqual([]);
    expect(readers.size).toBe(0);
  });

  it("[G6] one whose connection owes too much is out, at the last place that it was given", async () => {
    const { readers, slow } = live();
    const [well, ill] = [reader(), reader(() => false)];
    readers.add(well.reader);
    readers.add(ill.reader);
    for (const seq of [1, 2]) readers.pass(frame(seq), place(seq));
    await Promise.resolve();
    expect(slow).toEqual([[ill.reader, 2]]);
    expect(readers.size).toBe(1);
    readers.pass(frame(3), place(3));
    await Promise.resolve();
    expect(ill.writes).toEqual([[1, 2]]);
    expect(well.writes).toEqual([[1, 2], [3]]);
  });

  it("thousands of them have their turns one cohort after the other, while more comes, and each gets all of it", async () => {
    const { readers, counted } = live();
    const all = Array.from({ length: 5_500 }, () => reader());
    for (const one of all) readers.add(one.reader);
    let last = 0;
    const reached = () => all.filter(({ writes }) => writes.length > 0).length;
    readers.pass(frame(++last), place(last));
    await Promise.resolve();
    expect(reached()).toBe(500);
    for (let turn = 0; turn < 20; turn++) {
      readers.pass(frame(++last), place(last));
      const before = all.reduce((sum, { writes }) => sum + writes.length, 0);
      await nextTurn();
      expect(all.reduce((sum, { writes }) => sum + writes.length, 0) - before).toBeLessThanOrEqual(500);
    }
    // Nobody waits for those whose turn comes again.
    expect(reached()).toBe(all.length);
    for (let turn = 0; turn < 12; turn++) await nextTurn();
    const everything = Array.from({ length: last }, (_, index) => index + 1);
    for (const { writes } of all) expect(writes.flat()).toEqual(everything);
    expect(counted.messages).toBe(all.length * last);
  });

  it("flush writes at once what waits anywhere", () => {
    const { readers } = live();
    const all = Array.from({ length: 1_500 }, () => reader());
    for (const one of all) readers.add(one.reader);
    readers.pass(frame(1), place(1));
    readers.flush();
    for (const { writes } of all) expect(writes).toEqual([[1]]);
  });

  it("are written to by their line while it is clear, and by their outlet else", async () => {
    const { readers } = live();
    const [one, short] = [reader(), line()];
    one.outlet.line = short.line;
    readers.add(one.reader);
    const pass = async (...seqs: number[]) => {
      for (const seq of seqs) readers.pass(frame(seq), place(seq));
      await Promise.resolve();
    };
    await pass(1, 2);
    expect([short.writes, one.writes]).toEqual([[[1, 2]], []]);
    short.line.isClear = false;
    await pass(3);
    short.line.isClear = true;
    await pass(4);
    expect([short.writes, one.writes]).toEqual([[[1, 2], [4]], [[3]]]);
    // Another transport: the old line is never clear again.
    const next = line();
    short.line.isClear = false;
    one.outlet.line = next.line;
    await pass(5);
    await pass(6);
    expect([short.writes, next.writes, one.writes]).toEqual([[[1, 2], [4]], [[6]], [[3], [5]]]);
  });

  it("[G6] go on by a line that did not take all, unless their connection owes too much", async () => {
    const { readers, slow } = live();
    let keepsUp = true;
    const [one, short] = [reader(() => keepsUp), line(() => false)];
    one.outlet.line = short.line;
    readers.add(one.reader);
    readers.pass(frame(1), place(1));
    await Promise.resolve();
    expect(slow).toEqual([]);
    keepsUp = false;
    readers.pass(frame(2), place(2));
    await Promise.resolve();
    expect(slow).toEqual([[one.reader, 2]]);
    expect(short.writes).toEqual([[1], [2]]);
    expect(one.writes).toEqual([]);
  });

  it("[G1] each get it once where a write takes readers out and lets others in, wherever they stand", async () => {
    const { readers } = live();
    const all = Array.from({ length: 9 }, () => reader());
    const late = reader();
    // The fifth's connection ends by the write, and with it go readers on both sides of it.
    const fifth = reader(() => {
      for (const index of [0, 1, 6]) if (all[index] !== undefined) readers.remove(all[index].reader);
      readers.remove(fifth.reader);
      readers.add(late.reader);
      return false;
    });
    for (const one of [...all.slice(0, 4), fifth, ...all.slice(4)]) readers.add(one.reader);
    readers.pass(frame(1), place(1));
    await Promise.resolve();
    expect(all.map(({ writes }) => writes.length)).toEqual([1, 1, 1, 1, 1, 1, 0, 1, 1]);
    expect([fifth.writes, late.writes]).toEqual([[[1]], []]);
    readers.pass(frame(2), place(2));
    await Promise.resolve();
    expect(all.map(({ writes }) => writes.length)).toEqual([1, 1, 2, 2, 2, 2, 0, 2, 2]);
    expect([fifth.writes, late.writes]).toEqual([[[1]], [[2]]]);
    expect(readers.size).toBe(7);
  });
});
