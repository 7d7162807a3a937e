import { describe, expect, test } from "vitest";
import { checkFields } from "../../src/fields.ts";
import { REQUESTS, type RequestName } from "../../src/protocol.ts";

function problems(name: RequestName, request: unknown): readonly string[] {
  const checked = checkFields(REQUESTS[name], request, "the request");
  return checked.ok ? [] : checked.problems;
}

describe("a wrong request is told field by field", () => {
  test.each<[RequestName, unknown, readonly string[]]>([
    ["sendMessage", {}, ["room is required", "data is required"]],
    ["sendMessage", { room: 1, data: null }, ["room must be a text"]],
    ["sendMessage", { room: "a b", data: 1 }, ["room must not contain white space or control characters"]],
    ["sendMessage", { room: "a", data: 1, id: "" }, ["id must be 1 to 128 bytes"]],
    ["joinRoom", { room: "a", since: { epoch: "e", seq: -1 } }, ["since.seq must be at least 0"]],
    [
      "joinRoom",
      { room: "a", since: { epoch: "e".repeat(65), seq: 1 } },
      ["since.epoch must be at most 64 characters"],
    ],
    ["joinRoom", { room: "a", since: {} }, ["since.epoch is required", "since.seq is required"]],
    ["joinRoom", { room: "a", history: 1.5 }, ["history must be a whole number"]],
    ["joinRoom", { room: "a", state: [] }, ["state must be an object"]],
    ["getHistory", { room: "a", before: 2, after: 1 }, ["before and after exclude each other"]],
    ["getMembers", { room: "a", limit: 101 }, ["limit must be at most 100"]],
    ["renewToken", { token: "" }, ["token must be at least 1 characters"]],
    ["leaveRoom", null, ["the request must be an object"]],
    ["leaveRoom", "x", ["the request must be an object"]],
  ])("%s %j", (name, request, expected) => {
    expect(problems(name, request)).toEqual(expected);
  });

  test("unknown fields are no problem, and are dropped", () => {
    const checked = checkFields(REQUESTS.leaveRoom, { room: "a", later: true }, "the request");
    expect(checked).toEqual({ ok: true, value: { room: "a" } });
  });
});
