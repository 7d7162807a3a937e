/** The label on every container that a test run makes. */
export const RUN_LABEL = "roomcast.test-run";

/** Tells this run from others, in all its processes: set by test/support/provision.ts. */
export function runId(): string {
  return process.env.TEST_RUN_ID ?? "unknown";
}
