import { AsyncLocalStorage } from "node:async_hooks";
import { aroundEach, type TestContext } from "vitest";
import { teardownBy } from "./teardown.ts";

/** By the asynchronous context, as tests that mostly wait run beside each other (`it.concurrent`). */
const current = new AsyncLocalStorage<TestContext>();

/** vitest's set-up of every test file: what a test starts ends with it. */
aroundEach((runTest, context) => current.run(context, runTest));
teardownBy((stop) => {
  current.getStore()?.onTestFinished(() => stop());
});
