import { expect, it } from "vitest";
import { RoomcastError } from "../../src/errors.ts";
import { Intervals } from "../../src/intervals.ts";
import { OccupiedRooms } from "../../src/presence/occupied-rooms.ts";
import { eventually } from "../support/eventually.ts";
import { stopsWithTest } from "../support/teardown.ts";

const NEVER_MS = 600_000;

function occupiedRooms({ gatherMs = 1, againMs = NEVER_MS } = {}) {
  const steps: string[] = [];
  let away = false;
  const step = (name: string) => async (rooms: readonly string[]) => {
    if (away) throw new RoomcastError("unavailable");
    steps.push(`${name} ${rooms.length > 5 ? rooms.length : rooms.join(" ")}`);
  };
  const directory = { add: step("add"), review: step("review"), list: never, look: never };
  const occupied = new OccupiedRooms(directory, new Intervals(), { gatherMs, againMs });
  stopsWithTest(() => occupied.close());
  return {
    occupied,
    steps,
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
