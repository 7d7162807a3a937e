import { writeFileSync } from "node:fs";
import { relative } from "node:path";
import type { Reporter, SerializedError, TestModule, TestRunEndReason } from "vitest/node";

/** What scripts/test.mjs adds up. */
interface Tally {
  passed: number;
  /** What failed, and the first line of why. */
  failures: string[];
  skipped: { title: string; reason: string }[];
}

/**
 * Writes the numbers of a run, what failed, and why each skipped test was skipped, to the file that `ROOMCAST_TALLY` names. A file that
 * could not be loaded and an error outside the tests count as one failed test each, as neither is in vitest's own numbers,
 * and so does a missing Redis with `CI=true`.
 */
export class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[], reason: TestRunEndReason): void {
    const tally: Tally = { passed: 0, failures: [], skipped: [] };
    const fail = (title: string, found: readonly { readonly message: string }[]) => {
      tally.failures.push(`${title} (${firstLine(found[0]?.message ?? "no reason was given")})`);
    };
    for (const error of errors) fail("outside of the tests", [error]);
    for (const module of modules) {
      const file = relative(process.cwd(), module.moduleId);
      // Errors of a module or suite itself: it could not be loaded, or a hook of it failed.
      for (const error of module.errors()) fail(file, [error]);
      for (const suite of module.children.allSuites()) {
        for (const error of suite.errors()) fail(`${file}: ${suite.fullName}`, [error]);
      }
      for (const test of module.children.allTests()) {
        const result = test.result();
        const title = `${file}: ${test.fullName}`;
        if (result.state === "passed") tally.passed++;
        else if (result.state === "skipped") {
          tally.skipped.push({ title, reason: result.note ?? "the reason is in the title, or there is none" });
        } else fail(title, result.errors ?? []);
      }
    }
    if (process.env.CI === "true" && process.env.TEST_NO_REDIS !== undefined) {
      console.error(`CI=true, and ${process.env.TEST_NO_REDIS}: that counts as a failed test`);
      fail("Redis", [{ message: process.env.TEST_NO_REDIS }]);
      process.exitCode = 1;
    }
    if (reason === "failed" && tally.failures.length === 0)
      fail("vitest", [{ message: "it says that the run failed" }]);
    const file = process.env.ROOMCAST_TALLY;
    if (file !== undefined) writeFileSync(file, JSON.stringify(tally));
  }
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}
