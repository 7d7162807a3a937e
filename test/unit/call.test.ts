import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { RoomcastError } from "../../src/errors.ts";
import { Call } from "../../src/room/call.ts";

describe("a request that ended early", () => {
  it("[G9] hears no more of what was begun on its behalf, and what fails of it ends no process", async () => {
    const unhandled = vi.fn();
    process.on("unhandledRejection", unhandled);
    onTestFinished(() => void process.off("unhandledRejection", unhandled));
    const call = new Call<string>(() => undefined);
    const before = call.within(Promise.reject(new Error("begun before the end")));
    call.end(new RoomcastError("superseded"));
    await expect(before).rejects.toThrow("begun before the end");
    const behind = call.within(Promise.reject(new Error("begun behind it")));
    await expect(behind).rejects.toMatchObject({ code: "superseded" });
    await nextTurn();
    expect(unhandled).not.toHaveBeenCalled();
    expect(() => call.requireOpen()).toThrow(RoomcastError);
  });
});
