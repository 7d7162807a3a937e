import { EventEmitter } from "node:events";
import type { Socket } from "socket.io-client";
import { describe, expect, it, vi } from "vitest";
import { Attendance } from "../../load/attendance.ts";
import type { Replies } from "../../src/protocol.ts";
import { stopsWithTest } from "../support/teardown.ts";

const ROOM = "load:1";
/** Longer than news of presence may take. */
const OUTAGE_MS = 60_000;
type Answer = Replies["getMembers"];

const answerOf = (version: number, ...users: string[]): Answer => ({
  members: users.map((id) => ({ id })),
  memberCount: users.length,
  version,
});

/** A member who sees `a` and `b` at version 4, and asks by `members`. */
function attend(members: () => Promise<Answer | undefined>) {
  const socket = new EventEmitter();
  const wrong: string[] = [];
  const attendance = new Attendance(socket as unknown as Socket, {
    user: "a",
    room: ROOM,
    isWanted: () => true,
    members,
    came: () => undefined,
    wrong: (what) => wrong.push(what),
  });
  attendance.start(answerOf(4, "a", "b"));
  const joined = (user: string, version: number) =>
    socket.emit("userJoined", { room: ROOM, user: { id: user }, memberCount: 1, version });
  return { attendance, joined, wrong };
}

/** The clock by which things settle stands still but for what is added. */
function ownClock(): { add(ms: number): void } {
  vi.useFakeTimers({ toFake: ["performance"] });
  stopsWithTest(() => void vi.useRealTimers());
  return { add: (ms) => void vi.advanceTimersByTime(ms) };
}

describe("who a load test's member takes for present", () => {
  it("is wrong where it is another one than the room's, and says how", async () => {
    const { attendance, wrong } = attend(async () => answerOf(4, "a", "c"));
    await attendance.compare();
    expect(attendance.wrong).toBe(1);
    expect(wrong).toEqual(["version 4 beside 4, lacks [c], has too many [b]"]);
  });

  it("is not wrong where it knows that it missed something, and reading all again takes long", async () => {
    ownClock();
    const answers = [new Promise<never>(() => undefined), answerOf(6, "a", "b", "c", "d"), answerOf(7, "a", "b", "d")];
    const { attendance, joined, wrong } = attend(async () => answers.shift());
    joined("d", 6);
    expect(attendance.readAgain).toBe(1);
    setTimeout(() => joined("e", 7), 50);
    await attendance.compare();
    // What came after that is followed, and compared.
    expect(answers).toEqual([]);
    expect(wrong).toHaveLength(1);
    expect(wrong[0]).toContain("version 7 beside 7, lacks [], has too many [c,e]");
  });

  it("has its whole time to come right after an outage in which nobody answers", async () => {
    const clock = ownClock();
    const { attendance, joined, wrong } = attend(async () => {
      clock.add(OUTAGE_MS);
      setTimeout(() => joined("c", 5), 50);
      return answerOf(5, "a", "b", "c");
    });
    await attendance.compare();
    expect(wrong).toEqual([]);
  });

  it("is gone from the room after leaving it, else that is wrong", async () => {
    const clock = ownClock();
    const answers = [answerOf(4, "a", "b"), answerOf(5, "b")];
    const { attendance, wrong } = attend(async () => answers.shift() ?? answerOf(4, "a", "b"));
    await attendance.seeOneselfGone(0);
    expect(wrong).toEqual([]);
    setTimeout(() => clock.add(OUTAGE_MS), 50);
    await attendance.seeOneselfGone(0);
    expect(wrong).toEqual(["5000 ms after leaving, still a member at version 4"]);
  });

  it("is wrong at last, however many outages there are", async () => {
    const clock = ownClock();
    let asked = 0;
    const { attendance, wrong } = attend(async () => {
      asked += 1;
      clock.add(OUTAGE_MS);
      return answerOf(4, "a", "b");
    });
    await attendance.seeOneselfGone(0);
    expect(wrong).toHaveLength(1);
    expect(asked).toBe(3);
  });
});
