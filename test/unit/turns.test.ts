import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Turns } from "../../src/room/turns.ts";

/** Work that asks for its turn, and what is done by now. */
function worker(perTurn: number) {
  const turns = new Turns(perTurn);
  const done: string[] = [];
  const ask = (name: string, amount: number) => {
    void turns.take(amount).then(() => done.push(name));
  };
  return { ask, done };
}

describe("turns", () => {
  it("let so much through in one turn, the rest later, in its order", async () => {
    const { ask, done } = worker(10);
    for (const [index, amount] of [4, 6, 1, 30, 2, 8, 1].entries()) ask(String(index), amount);
    await Promise.resolve();
    const turns = [done.join("")];
    for (let turn = 0; turn < 4; turn++) {
      await nextTurn();
      turns.push(done.join(""));
    }
    // The fourth is more than a turn has: it has one alone.
    expect(turns).toEqual(["01", "012", "0123", "012345", "0123456"]);
  });

  it("who comes while others wait goes behind them", async () => {
    const { ask, done } = worker(1);
    ask("a", 1);
    ask("b", 1);
    ask("c", 1);
    await nextTurn();
    ask("d", 0);
    for (let turn = 0; turn < 4; turn++) await nextTurn();
    expect(done).toEqual(["a", "b", "c", "d"]);
  });

  it("after a quiet time nobody waits", async () => {
    const { ask, done } = worker(1);
    ask("a", 1);
    await nextTurn();
    await nextTurn();
    ask("b", 100);
    await Promise.resolve();
    expect(done).toEqual(["a", "b"]);
  });
});
