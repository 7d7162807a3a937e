import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Intervals } from "../../src/intervals.ts";
import { Incarnation } from "../../src/nodes/incarnation.ts";
import type { LeaseState, Leases, Renewal } from "../../src/nodes/leases.ts";
import { Life } from "../../src/nodes/life.ts";

const LEASE_MS = 6_000;

/** A store of leases that answers what the test says. */
class ModelLeases implements Leases {
  state: LeaseState = "held";
  readonly gone: string[] = [];
  readonly cleaned: string[] = [];
  readonly renewed: string[] = [];
  readonly released: [incarnation: string, afterMs: number][] = [];

  async renew(incarnation: string): Promise<Renewal> {
    this.renewed.push(incarnation);
    const { state } = this;
    this.state = "held";
    return { state, someGone: this.gone.length > 0 };
  }

  async claim(): Promise<string | undefined> {
    return this.gone.shift();
  }

  async cleared(incarnation: string): Promise<void> {
    this.cleaned.push(incarnation);
  }

  async release(incarnation: string, afterMs: number): Promise<void> {
    this.released.push([incarnation, afterMs]);
  }
}

async function begin(work: { putBack?: () => Promise<void>; sweep?: (gone: string) => Promise<void> } = {}) {
  const leases = new ModelLeases();
  const incarnation = new Incarnation();
  const told: string[] = [];
  const life = new Life({
    intervals: new Intervals(),
    leases,
    incarnation,
    leaseMs: LEASE_MS,
    sweep: async (gone) => {
      told.push(`sweep ${gone}`);
      await work.sweep?.(gone);
    },
    renewed: (because) => told.push(`renewed, ${because}`),
    putBack: async () => {
      told.push("put back");
      await work.putBack?.();
    },
    failed: (where) => told.push(where),
  });
  await life.begin();
  return { life, leases, incarnation, told };
}

describe("a node's life", () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it("[G4] goes on under a new incarnation where others took it for dead, and puts its members back", async () => {
    const { life, leases, incarnation, told } = await begin();
    const before = incarnation.current;
    leases.state = "claimed";
    await vi.advanceTimersByTimeAsync(LEASE_MS / 6);
    expect(incarnation.current).not.toBe(before);
    expect(leases.renewed.at(-1)).toBe(incarnation.current);
    expect(told).toEqual(["renewed, claimed", "put back"]);
    life.stop();
  });

  it("[G4] renews its lease while its members are put back, however long that takes", async () => {
    // The renewing used to wait for it: a node with many members lost the next lease meanwhile, and so on.
    const slow = Promise.withResolvers<void>();
    const { life, leases, told } = await begin({ putBack: () => slow.promise });
    leases.state = "lost";
    await vi.advanceTimersByTimeAsync(LEASE_MS / 6);
    leases.renewed.length = 0;
    await vi.advanceTimersByTimeAsync(2 * LEASE_MS);
    expect(leases.renewed.length).toBeGreaterThan(10);
    expect(told).toEqual(["renewed, lost", "put back"]);
    slow.resolve();
    life.stop();
  });

  it("[G5] where the store may have lost the last writes, nobody takes its members out before they are put back under a new one", async () => {
    const slow = Promise.withResolvers<void>();
    const { life, leases, incarnation, told } = await begin({ putBack: () => slow.promise });
    const before = incarnation.current;
    leases.state = "moved";
    await vi.advanceTimersByTimeAsync(2 * LEASE_MS);
    expect(told).toEqual(["renewed, moved", "put back"]);
    expect(leases.renewed.at(-1)).toBe(incarnation.current);
    expect(leases.released.length).toBeGreaterThan(10);
    expect(new Set(leases.released.map(String))).toEqual(new Set([`${before},${LEASE_MS}`]));
    leases.released.length = 0;
    slow.resolve();
    await vi.advanceTimersByTimeAsync(2 * LEASE_MS);
    expect(leases.released).toEqual([[before, 0]]);
    life.stop();
  });

  it("[G4] tries again where members could not be put back", async () => {
    let tries = 0;
    const { life, leases, told } = await begin({
      putBack: () => (++tries < 3 ? Promise.reject(new Error("away")) : Promise.resolve()),
    });
    leases.state = "lost";
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(tries).toBe(3);
    expect(told.filter((line) => line === "renewed, lost")).toHaveLength(1);
    life.stop();
  });

  it("[G5] declares nobody gone before its own lease has held for a whole length", async () => {
    const { life, leases, told } = await begin();
    leases.state = "lost";
    await vi.advanceTimersByTimeAsync(LEASE_MS / 6);
    leases.gone.push("n2", "n3");
    await vi.advanceTimersByTimeAsync(LEASE_MS - LEASE_MS / 6);
    expect(told).not.toContain("sweep n2");
    await vi.advanceTimersByTimeAsync(LEASE_MS / 3);
    expect(told.slice(-2)).toEqual(["sweep n2", "sweep n3"]);
    expect(leases.cleaned).toEqual(["n2", "n3"]);
    life.stop();
  });
});
