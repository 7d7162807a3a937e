import fc from "fast-check";
import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { RoomMetrics } from "../../src/telemetry/room-metrics.ts";

class Room {
  readonly room: string;
  connections: number;
  emits = 0;

  constructor(room: string, connections = 1) {
    this.room = room;
    this.connections = connections;
  }
}

function setUp(top: number) {
  const rooms = new Map<string, Room>();
  const registry = new Registry();
  const metrics = new RoomMetrics(registry, top, () => rooms.values());
  const scrape = async () => {
    const series = new Map<string, number>();
    for (const line of (await registry.metrics()).split("\n")) {
      const match = /^(roomcast_\w+)\{(.*)\} (\S+)$/.exec(line);
      if (match !== null) series.set(`${match[1]}{${match[2]}}`, Number(match[3]));
    }
    return series;
  };
  const room = (name: string, connections = 1) => {
    const known = rooms.get(name) ?? new Room(name, connections);
    rooms.set(name, known);
    return known;
  };
  const close = (name: string) => {
    const known = rooms.get(name);
    if (known === undefined) return;
    metrics.retire(known);
    rooms.delete(name);
  };
  return { scrape, room, close };
}

const emitsOf = (room: string, type = "chat") => `roomcast_room_emits_total{room_type="${type}",room="${room}"}`;
const membersOf = (room: string, type = "chat") => `roomcast_room_connections{room_type="${type}",room="${room}"}`;

describe("RoomMetrics", () => {
  it("[G9] has series for the rooms with most connections and most emits, and one for all others", async () => {
    const { room, scrape } = setUp(2);
    room("chat:large", 50);
    room("chat:busy", 1).emits = 900;
    for (let n = 0; n < 20; n++) room(`chat:${n}`, 2).emits = 3;
    const series = await scrape();
    expect(series.get(membersOf("chat:large"))).toBe(50);
    expect(series.get(emitsOf("chat:busy"))).toBe(900);
    expect(series.get(membersOf("_other"))).toBe(40);
    expect(series.get(emitsOf("_other"))).toBe(60);
    expect(series.get('roomcast_emits_total{room_type="chat"}')).toBe(960);
    expect([...series.keys()].filter((name) => name.startsWith("roomcast_room_emits"))).toHaveLength(3);
  });

  it("gives a series away only to a room that is twice as busy", async () => {
    const { room, scrape } = setUp(2);
    const [first, second] = [room("chat:first", 0), room("chat:second", 0)];
    first.emits += 10;
    await scrape();
    first.emits += 10;
    second.emits += 19;
    expect((await scrape()).has(emitsOf("chat:second"))).toBe(false);
    first.emits += 10;
    second.emits += 21;
    const series = await scrape();
    expect(series.get(emitsOf("chat:second"))).toBe(21);
    expect(series.has(emitsOf("chat:first"))).toBe(false);
  });

  it("no counter of a series that goes on ever runs backwards, and every emit is counted once", async () => {
    const step = fc.record({
      room: fc.nat({ max: 12 }),
      emits: fc.nat({ max: 50 }),
      act: fc.constantFrom("emit", "close"),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { maxLength: 12 }), { maxLength: 12 }), async (rounds) => {
        const { room, close, scrape } = setUp(4);
        let before = new Map<string, number>();
        let [emitted, increased] = [0, 0];
        for (const round of rounds) {
          for (const { room: n, emits, act } of round) {
            const name = `t${n % 3}:${n}`;
            if (act === "close") close(name);
            else {
              room(name, n).emits += emits;
              emitted += emits;
            }
          }
          const now = await scrape();
          for (const [name, value] of now) {
            if (!name.startsWith("roomcast_room_emits")) continue;
            expect(value).toBeGreaterThanOrEqual(before.get(name) ?? 0);
            increased += value - (before.get(name) ?? 0);
          }
          const totals = [...now].filter(([name]) => name.startsWith("roomcast_emits_total"));
          expect(totals.reduce((sum, [, value]) => sum + value, 0)).toBe(emitted);
          before = now;
        }
        // What a closed room counted after the last scrape goes to a series that may be gone: the totals have it.
        expect(increased).toBeLessThanOrEqual(emitted);
      }),
      { numRuns: 200 },
    );
  });

  it("[G9] 20,000 rooms of 5,000 types are a few hundred series", async () => {
    const { room, scrape } = setUp(50);
    for (let n = 0; n < 20_000; n++) room(`type${n % 5_000}:${n}`, n % 7).emits = n % 11;
    const series = await scrape();
    expect(series.size).toBeLessThan(400);
    let connections = 0;
    for (const [name, value] of series) if (name.startsWith("roomcast_room_connections")) connections += value;
    expect(connections).toBe(Array.from({ length: 20_000 }, (_, n) => n % 7).reduce((sum, n) => sum + n, 0));
  });
});
