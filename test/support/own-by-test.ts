import { onTestFinished, TestRunner } from "vitest";
import { teardownBy } from "./teardown.ts";

/** vitest's set-up of every test file: what a test starts ends with it. */
teardownBy((stop) => {
  if (TestRunner.getCurrentTest() !== undefined) onTestFinished(() => stop());
});
