import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseSchedstat, parseStat } from "../../bench/cpu.ts";
import { figuresOf, floorsOf, GOALS } from "../../bench/goals.ts";
import { clientFrame, FrameReader, OPCODE } from "../../bench/load/frames.ts";
import { eachStamp, stampedText } from "../../bench/load/stamp.ts";
import type { Measurement } from "../../bench/measurement.ts";
import { parseOptions } from "../../bench/options.ts";
import { compare } from "../../bench/regression.ts";
import { page } from "../../bench/report.ts";
import { readResults } from "../../bench/results.ts";
import { small } from "../../bench/scenarios/small.ts";
import { median, percentile, ratioOf } from "../../bench/statistics.ts";
import { goalTable, table, withSpread } from "../../bench/table.ts";

const spread = (value: number) => ({ median: value, min: value, max: value });

function measurement(key: string, values: Measurement["values"]): Measurement {
  return { key, what: key, unit: "µs", values };
}

describe("bench: statistics", () => {
  it("takes the middle, of an even number the mean of the middle two", () => {
    expect(median([9, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 10])).toBe(3);
    expect(median([])).toBeNaN();
  });

  it("finds percentiles by nearest rank", () => {
    const sorted = Array.from({ length: 100 }, (_, i) => i + 1);
    expect([percentile(sorted, 0.5), percentile(sorted, 0.99)]).toEqual([50, 99]);
    expect(percentile([7], 0.5)).toBe(7);
  });

  it("takes the ratio of the medians, and the spread of the rounds", () => {
    expect(ratioOf([1, 2, 6], [2, 2, 3])).toEqual({ median: 1, min: 0.5, max: 2 });
  });
});

describe("bench: CPU", () => {
  it("adds user and system time, whatever the process is called", () => {
    const text = "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 7 0 100 0 0";
    expect(parseStat(text)).toBe(2);
    expect(() => parseStat("42 (node) S")).toThrow("/proc/<pid>/stat");
  });

  it("reads nanoseconds where the kernel counts them", () => {
    expect(parseSchedstat("1500000000 200 30\n")).toBe(1.5);
    expect(parseSchedstat("0 0 0\n")).toBeUndefined();
  });
});

describe("bench: frames", () => {
  it("cuts frames of every length out of chunks that end anywhere", () => {
    const payloads = ["2", "x".repeat(200), "y".repeat(70_000)];
    // A server does not mask: the length is as a client's, the key is left out.
    const stream = Buffer.concat(
      payloads.map((payload) => {
        const frame = clientFrame(payload);
        const header = Buffer.from(frame.subarray(0, frame.length - payload.length - 4));
        header[1] = (header[1] ?? 0) & 0x7f;
        return Buffer.concat([header, Buffer.from(payload)]);
      }),
    );
    for (const size of [1, 3, 199, stream.length]) {
      const heard: string[] = [];
      const reader = new FrameReader((opcode, buffer, start, end) => {
        expect(opcode).toBe(OPCODE.text);
        heard.push(buffer.toString("utf8", start, end));
      });
      // Small pieces where the headers are; the long payload in larger ones.
      for (let at = 0, end = 0; at < stream.length; at = end) {
        end = at + (at < 300 ? size : 4_096);
        reader.push(stream.subarray(at, end));
      }
      expect(heard).toEqual(payloads);
    }
  });

  it("finds each message's time, and none outside of the bounds", () => {
    const buffer = Buffer.from(`{${stampedText(120, 17)}}{${stampedText(120, 123_456)}}`);
    const found: number[] = [];
    eachStamp(buffer, 0, buffer.length, (micros) => found.push(micros));
    eachStamp(buffer, 0, 1, (micros) => found.push(micros));
    expect(found).toEqual([17, 123_456]);
  });
});

describe("bench: ratios and goals", () => {
  const measured = [
    measurement("room K=1", { roomcast: [7, 7], sharded: [10, 14], ws: [7, 7], floor: [6, 6] }),
    measurement("idle-node", { roomcast: [0], sharded: [0] }),
    measurement("growth rooms=10", { roomcast: [100] }),
    measurement("growth rooms=1000", { roomcast: [110] }),
  ];

  it("knows every ratio that can be told", () => {
    const figures = new Map(figuresOf(measured).map(({ name, spread: { median } }) => [name, median]));
    expect(Object.fromEntries(figures)).toEqual({
      "room K=1 beside sharded": 7 / 12,
      "room K=1 beside ws": 1,
      "room K=1 beside floor": 7 / 6,
      "idle-node": 0,
      growth: 1.1,
    });
  });

  it("shows each goal, met, missed or not measured", () => {
    const text = goalTable(GOALS, figuresOf(measured), floorsOf(measured));
    expect(text.split("\n")).toHaveLength(GOALS.length + 2);
    expect(text).toMatch(/K=1, beside Socket.IO.*≤ 0.70 +\| 0.58 \(0.50–0.70\) +\| yes +\| 0.50 \(0.43–0.60\)/);
    expect(text).toMatch(/without members.*none +\| 0.00.*yes/);
    expect(text).toMatch(/open|held.*not measured/);
  });

  it("knows by how much the floor grows", () => {
    const steps = [
      measurement("growth rooms=10", { roomcast: [100], floor: [50] }),
      measurement("growth rooms=1000", { roomcast: [110], floor: [60] }),
    ];
    expect(floorsOf(steps).find(({ name }) => name === "growth")?.spread.median).toBe(1.2);
  });

  it("gives the floor a ratio but no goal, and goes without it where the committed results do", () => {
    const values = { roomcast: [10], sharded: [10] };
    const committed = figuresOf([measurement("small", values)]);
    const run = figuresOf([measurement("small", { ...values, floor: [8] })]);
    expect(run.map(({ name }) => name)).toEqual(["small beside sharded", "small beside floor"]);
    expect(compare(run, committed).map(({ name }) => name)).toEqual(["small beside sharded"]);
    expect(GOALS.filter(({ figure }) => figure.includes("floor"))).toEqual([]);
  });

  it("calls worse only what is above the tolerance in every round", () => {
    const committed = [{ name: "a", spread: { median: 1, min: 0.9, max: 1.2 } }];
    const worse = (median: number, min: number) =>
      compare([{ name: "a", spread: { median, min, max: 9 } }], committed).map((each) => each.worse);
    expect([worse(1.3, 1.21), worse(1.3, 1.1), worse(1.2, 1.2)]).toEqual([[true], [false], [false]]);
    expect(compare([{ name: "new", spread: spread(9) }], committed)).toEqual([]);
  });
});

describe("bench: the page and the command line", () => {
  it("aligns tables", () => {
    expect(table(["a", "bb"], [["ccc", "d"]])).toBe("| a   | bb  |\n| --- | --- |\n| ccc | d   |");
    expect(withSpread({ median: 0.7123, min: 0.65, max: 123.4 })).toBe("0.71 (0.65–123)");
  });

  it("shows what was measured and says what was not", () => {
    const result = {
      date: "2026-01-31",
      machine: "a machine",
      rounds: 2,
      description: "One room.",
      notes: ["A note."],
    };
    const text = page({
      room: { ...result, versions: { ws: "a loop" }, measurements: [measurement("room K=1", { ws: [7] })] },
    });
    for (const words of ["## room", "2026-01-31, 2 rounds, on a machine", "A note.", "| ws", "not measured"]) {
      expect(text).toContain(words);
    }
  });

  it("tells what the floor is, and how long small rooms are warmed up", () => {
    expect(page({})).toContain("The row `floor`, where there is one, is no server and no goal");
    expect(small.describe("full")).toContain("after 15 s of 800 messages/s");
  });

  it("docs/benchmarks.md is what bench/results.json makes", () => {
    expect(readFileSync(join(import.meta.dirname, "../../docs/benchmarks.md"), "utf8")).toBe(page(readResults()));
  });

  it("reads the command line, and names what is wrong", () => {
    expect(parseOptions(["--quick", "--scenario", "room"])).toMatchObject({ size: "quick", rounds: 2, check: false });
    expect(parseOptions([]).scenarios.length).toBeGreaterThan(8);
    expect(() => parseOptions(["--scenario", "rooms"])).toThrow("--scenario rooms: there are room, small");
    expect(() => parseOptions(["--rounds", "0"])).toThrow("--rounds");
  });
});
