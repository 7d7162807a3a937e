import { defineConfig } from "vitest/config";
import { TallyReporter } from "./test/support/tally-reporter.ts";

/**
 * One folder of test/ as a project: `npx vitest run --project unit`. Projects run one after the other in this order, from
 * 1 (vitest runs a project of one worker last where its order is 0).
 */
function project(name: string, order: number, options: { testSeconds: number; parallel: boolean }) {
  return {
    extends: true as const,
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      testTimeout: options.testSeconds * 1_000,
      hookTimeout: 60_000,
      fileParallelism: options.parallel,
      ...(options.parallel && { maxWorkers: "100%" }),
      sequence: { groupOrder: order },
    },
  };
}

export default defineConfig({
  test: {
    environment: "node",
    // Not threads: what a test starts is tied to the life of its process (src/local/tied-process.ts).
    pool: "forks",
    retry: 0,
    reporters: ["default", new TallyReporter()],
    globalSetup: ["test/support/provision.ts"],
    setupFiles: ["test/support/own-by-test.ts"],
    // Of `it.concurrent`: each of them may run three nodes.
    maxConcurrency: 3,
    projects: [
      project("unit", 1, { testSeconds: 10, parallel: true }),
      project("contract", 2, { testSeconds: 20, parallel: true }),
      project("cluster", 3, { testSeconds: 60, parallel: false }),
      project("hardening", 4, { testSeconds: 60, parallel: false }),
      project("browser", 5, { testSeconds: 90, parallel: false }),
      project("ship", 6, { testSeconds: 300, parallel: false }),
    ],
  },
});
