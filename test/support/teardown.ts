import { onTestFinished, TestRunner } from "vitest";

/**
 * Registers the end of something with the test that made it, which then owns it. Outside a test (in `beforeAll`) there is
 * nothing to register with: `beforeAll(async () => { x = await startX(); return () => x.stop(); })`.
 */
export function stopsWithTest(stop: () => Promise<void> | void): void {
  if (TestRunner.getCurrentTest() !== undefined) onTestFinished(() => stop());
}
