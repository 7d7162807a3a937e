import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RoomcastError } from "../../src/errors.ts";
import { Intervals } from "../../src/intervals.ts";
import { OccupiedRooms } from "../../src/presence/occupied-rooms.ts";
import { eventually } from "../support/eventually.ts";
import { stopsWithTest } from "../support/teardown.ts";

const NEVER_MS = 600_000;

function occupiedRooms({ gatherMs = 1, againMs = NEVER_MS } = {}) {
  const steps: string[] = [];
  const tried: string[] = [];
  const added: string[] = [];
  let away = false;
  const step = (name: string) => async (rooms: readonly string[]) => {
    tried.push(...rooms);
    if (away) throw new RoomcastError("unavailable");
    if (name === "add") added.push(...rooms);
    steps.push(`${name} ${rooms.length > 5 ? rooms.length : rooms.join(" ")}`);
  };
  const directory = { add: step("add"), review: step("review"), list: never, look: never };
  const occupied = new OccupiedRooms(directory, new Intervals(), { gatherMs, againMs });
  stopsWithTest(() => occupied.close());
  return {
    occupied,
    steps,
    tried,
    added,
    setAway: (now: boolean) => {
      away = now;
    },
  };
}

function never(): never {
  throw new Error("nobody asks");
}

it("[G4] rooms that come together are added together, in slices; nobody waits for it", async () => {
  const { occupied, steps } = occupiedRooms();
  for (let i = 0; i < 1_200; i++) expect(occupied.occupied(`chat:${i}`)).toBeUndefined();
  expect(steps).toEqual([]);
  await eventually(() => expect(steps).toEqual(["add 500", "add 500", "add 200"]));
});

it("a room that was left again before it was added is only reviewed", async () => {
  const { occupied, steps } = occupiedRooms();
  occupied.occupied("chat:1");
  occupied.occupied("chat:2");
  await occupied.vacated("chat:1");
  expect(steps).toEqual(["add chat:2", "review chat:1"]);
});

it("[G5] what could not be written while Redis was away is written with the next repetition", async () => {
  const { occupied, steps, setAway } = occupiedRooms({ againMs: 5 });
  setAway(true);
  occupied.occupied("chat:1");
  occupied.occupied("chat:2");
  await occupied.vacated("chat:2");
  setAway(false);
  await eventually(() => expect(steps).toContain("add chat:1"));
});

describe("with the clock in hand", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("[G4] each of very many rooms is added again in its turn, never all of them at once", async () => {
    const { occupied, added } = occupiedRooms({ againMs: 30_000 });
    for (let i = 0; i < 12_000; i++) occupied.occupied(`chat:${i}`);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(added.splice(0)).toHaveLength(12_000);
    const again = new Set<string>();
    for (let turn = 0; turn < 10; turn++) {
      await vi.advanceTimersByTimeAsync(30_000);
      expect(added.length).toBeLessThanOrEqual(1_200);
      for (const room of added.splice(0)) again.add(room);
    }
    expect(again.size).toBe(12_000);
  });

  it("who stays is added again, though more rooms come meanwhile than a turn takes", async () => {
    const { occupied, added } = occupiedRooms({ againMs: 30_000 });
    occupied.occupied("chat:stays");
    let again = 0;
    for (let turn = 0; turn < 20; turn++) {
      for (let i = 0; i < 800; i++) occupied.occupied(`chat:${turn}-${i}`);
      await vi.advanceTimersByTimeAsync(15_000);
      for (let i = 0; i < 800; i++) void occupied.vacated(`chat:${turn - 1}-${i}`);
      added.splice(0);
      await vi.advanceTimersByTimeAsync(15_000);
      if (added.includes("chat:stays")) again += 1;
    }
    expect(again).toBeGreaterThan(4);
  });

  it("what was refused is tried again in the next turn, however many rooms there are, and not before", async () => {
    const { occupied, added, tried, setAway } = occupiedRooms({ againMs: 30_000 });
    for (let i = 0; i < 12_000; i++) occupied.occupied(`chat:${i}`);
    await vi.advanceTimersByTimeAsync(1_000);
    added.splice(0);
    setAway(true);
    occupied.occupied("chat:late");
    await vi.advanceTimersByTimeAsync(1_000);
    tried.splice(0);
    occupied.occupied("chat:later");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(tried).toEqual(["chat:later"]);
    setAway(false);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(added).toEqual(expect.arrayContaining(["chat:late", "chat:later"]));
  });
});
