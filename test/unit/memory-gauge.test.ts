import { expect, it } from "vitest";
import { memoryOf } from "../../src/redis/memory-gauge.ts";

it.each([
  [
    "a limit",
    "# Memory\r\nused_memory:1048576\r\nused_memory_human:1.00M\r\nmaxmemory:2097152\r\n",
    [1_048_576, 2_097_152],
  ],
  ["no limit", "used_memory:1048576\r\nmaxmemory:0\r\n", [1_048_576, undefined]],
  ["no word of a limit", "used_memory:5\n", [5, undefined]],
])("the memory of a Redis with %s", (_what, info, [usedBytes, limitBytes]) => {
  expect(memoryOf(info)).toEqual({ usedBytes, limitBytes });
});

it("a Redis that does not say what it uses", () => {
  expect(memoryOf("# Memory\r\nmaxmemory:0\r\n")).toBeUndefined();
});
