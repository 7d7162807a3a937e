import { writeFileSync } from "node:fs";
import { relative } from "node:path";
import type { Reporter, SerializedError, TestModule, TestRunEndReason } from "vitest/node";

/** What scripts/test.mjs adds up. */
interface Tally {
  passed: number;
  failed: number;
  skipped: { title: string; reason: string }[];
}

/**
 * Writes the numbers of a run, and why each skipped test was skipped, to the file that `ROOMCAST_TALLY` names. A file that
 * could not be loaded and an error outside the tests count as one failed test each, as neither is in vitest's own numbers,
 * and so does a missing Redis with `CI=true`.
 */
export class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[], reason: TestRunEndReason): void {
    const tally: Tally = { passed: 0, failed: errors.length, skipped: [] };
    for (const module of modules) {
      // Errors of a module or suite itself: it could not be loaded, or a hook of it failed.
      tally.failed += module.errors().length;
      for (const suite of module.children.allSuites()) tally.failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === "passed") tally.passed++;
        else if (result.state === "skipped") {
          const title = `${relative(process.cwd(), module.moduleId)}: ${test.fullName}`;
          tally.skipped.push({ title, reason: result.note ?? "the reason is in the title, or there is none" });
        } else tally.failed++;
      }
    }
    if (process.env.CI === "true" && process.env.TEST_NO_REDIS !== undefined) {
      console.error(`CI=true, and ${process.env.TEST_NO_REDIS}: that counts as a failed test`);
      tally.failed++;
      process.exitCode = 1;
    }
    if (reason === "failed" && tally.failed === 0) tally.failed = 1;
    const file = process.env.ROOMCAST_TALLY;
    if (file !== undefined) writeFileSync(file, JSON.stringify(tally));
  }
}
