import { expect, it } from "vitest";
import { Rounds } from "../../src/rounds.ts";

it("each has its turn once a round, and a round begins where the last one ended", () => {
  const rounds = new Rounds(() => ["a", "b", "c", "d", "e"]);
  expect([...rounds.take(2)]).toEqual(["a", "b"]);
  expect([...rounds.take(2)]).toEqual(["c", "d"]);
  expect([...rounds.take(2)]).toEqual(["e", "a"]);
});

it("none comes twice at a time, and of nothing comes nothing", () => {
  expect([...new Rounds(() => ["a", "b"]).take(5)]).toEqual(["a", "b"]);
  const rounds = new Rounds(() => ["a", "b", "c"]);
  rounds.take(1);
  expect([...rounds.take(5)].toSorted()).toEqual(["a", "b", "c"]);
  expect([...new Rounds(() => []).take(5)]).toEqual([]);
});

it("who stays has a turn again, though more come each time than are taken", () => {
  const all = new Set(["stays"]);
  const rounds = new Rounds(() => all);
  let turns = 0;
  for (let time = 0; time < 200; time++) {
    for (let i = 0; i < 12; i++) all.add(`${time}-${i}`);
    for (let i = 0; i < 12; i++) all.delete(`${time - 3}-${i}`);
    if (rounds.take(10).has("stays")) turns += 1;
  }
  expect(turns).toBeGreaterThan(40);
});
