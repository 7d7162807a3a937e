import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RoomMetrics } from "../../src/telemetry/room-metrics.ts";
import type { RoomTally } from "../../src/telemetry/room-tally.ts";

type Scrape = Map<string, number>;

function setUp(top: number, configured: readonly string[] = []) {
  const rooms = new Map<string, RoomTally>();
  const metrics = new RoomMetrics(top, (type) => configured.includes(type));
  /** One scrape, in the order in which prom-client asks. */
  const scrape = (): Scrape => {
    const series: Scrape = new Map();
    const put = (name: string) => (labels: Readonly<Record<string, string>>, value: number) => {
      series.set(`${name} ${labels.room_type} ${labels.room ?? ""}`.trim(), value);
    };
    metrics.collectConnections(put("members"));
    metrics.collectEmits(put("emits"));
    metrics.collectTotals(put("total"));
    return series;
  };
  const room = (name: string, connections?: number) => {
    const known = rooms.get(name) ?? metrics.opened(name);
    rooms.set(name, known);
    if (connections !== undefined) known.has(connections);
    return known;
  };
  const emit = (name: string, times: number) => {
    for (let n = 0; n < times; n++) room(name).emitted();
  };
  const close = (name: string) => {
    rooms.get(name)?.closed();
    rooms.delete(name);
  };
  return { metrics, scrape, room, emit, close };
}

/** What Prometheus' `increase()` makes of a series: growth from sample to sample, and all of a value that is smaller. */
class Increase {
  readonly #last = new Map<string, number>();
  sum = 0;

  take(scrape: Scrape, kind: string): void {
    for (const [name, value] of scrape) {
      if (!name.startsWith(`${kind} `)) continue;
      const last = this.#last.get(name);
      if (last !== undefined) this.sum += value >= last ? value - last : value;
      this.#last.set(name, value);
    }
  }
}

const sumOf = (scrape: Scrape, kind: string) =>
  [...scrape].filter(([name]) => name.startsWith(`${kind} `)).reduce((sum, [, value]) => sum + value, 0);

describe("rooms with series of their own", () => {
  it("tell what their logs hold, once that was compared, and no other room does", () => {
    const { metrics, room, scrape } = setUp(2);
    room("chat:large", 50).logHolds(3, 900);
    room("chat:small", 1).logHolds(1, 100);
    scrape();
    const held = (value: "messages" | "bytes") => {
      const series: [string | undefined, number][] = [];
      metrics.collectLogs(value, ({ room: name }, count) => series.push([name, count]));
      return series;
    };
    expect(held("messages")).toEqual([["chat:large", 3]]);
    expect(held("bytes")).toEqual([["chat:large", 900]]);
    room("chat:large").logGrew(50);
    expect([...held("messages"), ...held("bytes")].map(([, value]) => value)).toEqual([4, 950]);
    room("chat:large").closed();
    expect(held("bytes")).toEqual([]);
  });

  it("[G9] are those with most connections and most emits, and there is one for all others", () => {
    const { room, emit, scrape } = setUp(2);
    room("chat:large", 50);
    room("chat:busy", 1);
    emit("chat:busy", 900);
    for (let n = 0; n < 20; n++) {
      room(`chat:${n}`, 2);
      emit(`chat:${n}`, 3);
    }
    scrape();
    const series = scrape();
    expect(series.get("members chat chat:large")).toBe(50);
    expect(series.get("members chat _other")).toBe(41);
    expect(series.get("total chat")).toBe(960);
    expect([...series.keys()].filter((name) => name.startsWith("emits"))).toEqual([
      "emits chat chat:large",
      "emits chat _other",
    ]);
    emit("chat:busy", 1);
    expect(scrape().get("emits chat chat:busy")).toBe(0);
    emit("chat:busy", 1);
    expect(scrape().get("emits chat chat:busy"), "the one that was held back, too").toBe(2);
  });

  it("give way only to a room that is twice as busy", () => {
    const { emit, scrape } = setUp(2);
    emit("chat:first", 10);
    scrape();
    emit("chat:first", 10);
    emit("chat:second", 19);
    expect(scrape().has("emits chat chat:second")).toBe(false);
    emit("chat:first", 10);
    emit("chat:second", 21);
    const series = scrape();
    expect(series.has("emits chat chat:second")).toBe(true);
    expect(series.has("emits chat chat:first")).toBe(false);
  });

  it("leave the scrape with the choice, and begin at 0 when they come back", () => {
    const { emit, scrape } = setUp(2);
    emit("chat:1", 5);
    scrape();
    emit("chat:1", 5);
    expect(scrape().get("emits chat chat:1")).toBe(10);
    emit("chat:2", 5);
    expect(scrape().has("emits chat chat:1")).toBe(false);
    emit("chat:1", 100);
    expect(scrape().get("emits chat chat:1")).toBe(0);
    emit("chat:1", 1);
    expect(scrape().get("emits chat chat:1")).toBe(101);
  });

  it("[G9] no counter runs backwards, and increase() over all series is what was emitted, whoever comes and goes", () => {
    const step = fc.record({
      room: fc.nat({ max: 14 }),
      emits: fc.nat({ max: 50 }),
      connections: fc.nat({ max: 9 }),
      act: fc.constantFrom("use", "use", "use", "close"),
    });
    fc.assert(
      fc.property(fc.array(fc.array(step, { maxLength: 12 }), { maxLength: 12 }), (rounds) => {
        const { room, emit, close, scrape } = setUp(4);
        const [rooms, totals] = [new Increase(), new Increase()];
        const connected = new Map<string, number>();
        let emitted = 0;
        let before: Scrape = new Map();
        const look = () => {
          const now = scrape();
          for (const [name, value] of now) {
            if (/^(emits .*_other|total .*)$/.test(name)) expect(value).toBeGreaterThanOrEqual(before.get(name) ?? 0);
            expect(value).toBeGreaterThanOrEqual(0);
          }
          rooms.take(now, "emits");
          totals.take(now, "total");
          expect(sumOf(now, "members")).toBe([...connected.values()].reduce((sum, count) => sum + count, 0));
          expect(
            [...now.keys()].filter((name) => name.startsWith("emits") && !name.endsWith("_other")).length,
          ).toBeLessThanOrEqual(4);
          before = now;
        };
        for (const round of rounds) {
          for (const { room: n, emits, connections, act } of round) {
            const name = `t${n % 3}:${n}`;
            if (act === "close") {
              close(name);
              connected.delete(name);
            } else {
              room(name, connections);
              connected.set(name, connections);
              emit(name, emits);
              emitted += emits;
            }
          }
          look();
        }
        // What was held back at the last one.
        look();
        expect(rooms.sum).toBe(emitted);
        expect(totals.sum).toBe(emitted);
      }),
      { numRuns: 300 },
    );
  });

  it("are the busiest for certain, whatever came before them", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 400 }), fc.integer({ min: 1, max: 30 })), { maxLength: 600 }),
        (bursts) => {
          const { emit, scrape } = setUp(4);
          const counts = new Map<string, number>();
          for (const [n, times] of bursts) {
            const name = `chat:${n}`;
            emit(name, times);
            counts.set(name, (counts.get(name) ?? 0) + times);
          }
          const series = scrape();
          const chosen = [...counts].filter(([name]) => series.has(`emits chat ${name}`)).map(([, count]) => count);
          const best = [...counts.values()].sort((a, b) => b - a).slice(0, 2);
          expect(chosen.sort((a, b) => b - a)).toEqual(best);
        },
      ),
    );
  });

  it("[G9] 100,000 rooms of 5,000 types are no more series and bytes than 500 rooms of 60", () => {
    const sizeOf = (rooms: number, types: number) => {
      const { metrics, room, emit, scrape } = setUp(50);
      for (let n = 0; n < rooms; n++) {
        room(`type${n % types}:${100_000 + n}`, n % 7);
        emit(`type${n % types}:${100_000 + n}`, n % 11);
      }
      expect(metrics.rooms).toBe(Array.from({ length: rooms }, (_, n) => n % 7).filter((count) => count > 0).length);
      const series = scrape();
      expect(sumOf(series, "members")).toBe(metrics.members);
      return { series: series.size, bytes: JSON.stringify([...series]).length };
    };
    const [few, many] = [sizeOf(500, 60), sizeOf(100_000, 5_000)];
    expect(many.series).toBeLessThanOrEqual(few.series);
    expect(many.bytes).toBeLessThan(1.2 * few.bytes);
    expect(many.series).toBeLessThan(300);
  });

  it("types that are configured have series of their own, whatever clients call their rooms", () => {
    const { room, scrape } = setUp(1, ["chat"]);
    for (let n = 0; n < 100; n++) room(`junk${n}:1`, 1);
    room("chat:1", 1);
    const series = scrape();
    expect(series.has("total chat")).toBe(true);
    expect(series.has("total _other")).toBe(true);
    expect([...series.keys()].filter((name) => name.startsWith("total"))).toHaveLength(52);
  });
});
