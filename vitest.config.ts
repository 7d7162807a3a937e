import { defineConfig } from "vitest/config";

/** One folder of test/ as a project: `npx vitest run --project unit`. Projects run one after the other, in this order. */
function project(name: string, order: number, options: { testSeconds: number; parallel: boolean }) {
  return {
    extends: true as const,
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      testTimeout: options.testSeconds * 1_000,
      hookTimeout: 60_000,
      fileParallelism: options.parallel,
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
    globalSetup: ["test/support/provision.ts"],
    projects: [
      project("unit", 0, { testSeconds: 10, parallel: true }),
      project("contract", 1, { testSeconds: 20, parallel: true }),
      project("cluster", 2, { testSeconds: 60, parallel: false }),
      project("ship", 3, { testSeconds: 300, parallel: false }),
    ],
  },
});
