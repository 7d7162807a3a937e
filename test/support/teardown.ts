type Stop = () => Promise<void> | void;

let register: ((stop: Stop) => void) | undefined;

/** From now on `stopsWithTest` hands over to this. The fault kit never calls it: it starts the same things without vitest. */
export function teardownBy(owner: (stop: Stop) => void): void {
  register = owner;
}

/**
 * Registers the end of something with the test that made it, which then owns it. Outside a test (in `beforeAll`) there is
 * nothing to register with: `beforeAll(async () => { x = await startX(); return () => x.stop(); })`.
 */
export function stopsWithTest(stop: Stop): void {
  register?.(stop);
}
