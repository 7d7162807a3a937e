import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Application, type ApplicationOptions } from "../../src/auth/application.ts";
import type { Answer, Question } from "../../src/auth/signed-question.ts";

interface Put {
  readonly question: Question;
  readonly answer: (answer: Answer) => void;
  readonly fail: (error: Error) => void;
}

function setUp(options: Partial<ApplicationOptions> = {}) {
  const clock = { now: 1_000 };
  const puts: Put[] = [];
  const told: string[] = [];
  const application = new Application({
    put: (question, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        puts.push({ question, answer: resolve, fail: reject });
      }),
    timeoutMs: 5_000,
    maxParallel: 2,
    lost: () => told.push("lost"),
    back: () => told.push("back"),
    now: () => clock.now,
    ...options,
  });
  const ask = (user: string, room: string, after?: number) =>
    application.decide({ user, room, permission: "join" }, after).then(
      ({ bits }) => bits,
      (error: { code: string }) => error.code,
    );
  const askToStay = (user: string, room: string) =>
    application.decideToStay({ user, room, permission: "join" }).then(
      ({ bits }) => bits,
      (error: { code: string }) => error.code,
    );
  return { clock, puts, told, ask, askToStay };
}

describe("[G7] the application's server", () => {
  test("is asked once about one user in one room at a time, and everybody hears the answer", async () => {
    const { puts, ask } = setUp();
    const asked = [ask("ada", "chat:1"), ask("ada", "chat:1"), ask("ada", "chat:1")];
    await turn();
    expect(puts).toHaveLength(1);
    expect(puts[0]?.question).toEqual({ user: "ada", room: "chat:1", permission: "join" });
    puts[0]?.answer({ bits: 3, holdsMs: 1_000 });
    expect(await Promise.all(asked)).toEqual([3, 3, 3]);
  });

  test("is asked anew about who is to stay where its answer ends soon, and that counts to its end where it does not decide", async () => {
    const { clock, puts, ask, askToStay } = setUp({ timeoutMs: 1_000 });
    const first = askToStay("ada", "chat:1");
    await turn();
    puts.at(-1)?.answer({ bits: 3, holdsMs: 60_000 });
    expect(await first).toBe(3);
    clock.now += 57_000;
    expect(await askToStay("ada", "chat:1")).toBe(3);
    expect(puts).toHaveLength(1);
    clock.now += 1_500;
    // Who only reads goes by what is remembered.
    expect(await ask("ada", "chat:1")).toBe(3);
    const second = askToStay("ada", "chat:1");
    await turn();
    expect(puts).toHaveLength(2);
    puts.at(-1)?.fail(new Error("away"));
    expect(await second).toBe(3);
    // The failure is not asked for again at once, and takes nothing from anybody.
    expect([await askToStay("ada", "chat:1"), await ask("ada", "chat:1")]).toEqual([3, 3]);
    expect(puts).toHaveLength(2);
    clock.now += 1_600;
    const third = askToStay("ada", "chat:1");
    await turn();
    puts.at(-1)?.answer({ bits: 0, holdsMs: 1_000 });
    expect(await third).toBe(0);
    expect(puts).toHaveLength(3);
  });

  test("is not asked again for as long as its answer holds, be it yes or no", async () => {
    const { clock, puts, ask } = setUp();
    for (const bits of [3, 0]) {
      const first = ask("ada", `chat:${bits}`);
      await turn();
      puts.at(-1)?.answer({ bits, holdsMs: 1_000 });
      expect(await first).toBe(bits);
      const before = puts.length;
      clock.now += 999;
      expect(await ask("ada", `chat:${bits}`)).toBe(bits);
      expect(puts).toHaveLength(before);
      clock.now += 1;
      void ask("ada", `chat:${bits}`);
      await turn();
      expect(puts).toHaveLength(before + 1);
      puts.at(-1)?.answer({ bits, holdsMs: 1 });
      await turn();
    }
  });

  test("two pairs that look alike are not the same question", async () => {
    const { puts, ask } = setUp({ maxParallel: 10 });
    for (const [user, room] of [
      ["a", "b:c"],
      ["a:b", "c"],
      ["a:b:", "c"],
      ["1:a", "b:c"],
    ] as const)
      void ask(user, room);
    await turn();
    expect(puts).toHaveLength(4);
    for (const { answer } of puts) answer({ bits: 0, holdsMs: 1 });
  });

  test("that fails lets nobody in, is left alone for a second, and is reported once until it is back", async () => {
    const { clock, puts, told, ask } = setUp();
    for (let time = 0; time < 2; time++) {
      const first = ask("ada", "chat:1");
      await turn();
      puts.at(-1)?.fail(new Error("refused"));
      expect(await first).toBe("unavailable");
      expect(await ask("ada", "chat:1")).toBe("unavailable");
      expect(puts).toHaveLength(time + 1);
      clock.now += 1_000;
    }
    expect(told).toEqual(["lost"]);
    const again = ask("ada", "chat:1");
    await turn();
    puts.at(-1)?.answer({ bits: 1, holdsMs: 10 });
    expect(await again).toBe(1);
    expect(told).toEqual(["lost", "back"]);
  });

  test("is asked so many questions at once and no more; one that cannot be put in time is a no", async () => {
    const { puts, ask } = setUp({ timeoutMs: 100 });
    const asked = ["1", "2", "3", "4"].map((room) => ask("ada", room));
    await turn();
    expect(puts).toHaveLength(2);
    puts[0]?.answer({ bits: 1, holdsMs: 10 });
    expect(await asked[0]).toBe(1);
    await turn();
    expect(puts.map(({ question }) => question.room)).toEqual(["1", "2", "3"]);
    // The two that are never answered, and the one that waited behind them.
    expect(await Promise.all(asked)).toEqual([1, "unavailable", "unavailable", "unavailable"]);
    void ask("ada", "5");
    await turn();
    expect(puts.at(-1)?.question.room).toBe("5");
  });

  test("what it answered about 10,001 others is forgotten first", async () => {
    let asked = 0;
    const { ask } = setUp({
      put: () => {
        asked += 1;
        return Promise.resolve({ bits: 1, holdsMs: 1e6 });
      },
    });
    for (let n = 0; n <= 10_000; n++) await ask("ada", `chat:${n}`);
    expect(asked).toBe(10_001);
    await ask("ada", "chat:10000");
    await ask("ada", "chat:1");
    expect(asked).toBe(10_001);
    await ask("ada", "chat:0");
    expect(asked).toBe(10_002);
  });

  test("is asked anew by whoever needs an answer that holds longer than the one that is known", async () => {
    const { puts, ask } = setUp();
    const first = ask("ada", "chat:1");
    await turn();
    puts[0]?.answer({ bits: 1, holdsMs: 1_000 });
    await first;
    void ask("ada", "chat:1", 2_000);
    await turn();
    expect(puts).toHaveLength(2);
    puts[1]?.answer({ bits: 1, holdsMs: 1_000 });
  });
});
