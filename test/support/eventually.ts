import { setTimeout as delay } from "node:timers/promises";

const DEFAULT_WITHIN_MS = 5_000;
const INTERVAL_MS = 20;

/** Runs an assertion again and again until it holds, and rejects with its last failure after `withinMs`. */
export async function eventually<T>(
  assertion: () => T | Promise<T>,
  { withinMs = DEFAULT_WITHIN_MS }: { withinMs?: number } = {},
): Promise<T> {
  const deadline = Date.now() + withinMs;
  while (true) {
    try {
      return await assertion();
    } catch (error) {
      if (Date.now() >= deadline) throw error;
    }
    await delay(INTERVAL_MS);
  }
}
