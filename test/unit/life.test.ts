import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Intervals } from "../../src/intervals.ts";
import { Incarnation } from "../../src/nodes/incarnation.ts";
import type { LeaseState, Leases, Renewal } from "../../src/nodes/leases.ts";
import { Life } from "../../src/nodes/life.ts";

const LEASE_MS = 6_000;

/** A store of leases that answers what the test says. */
class ModelLeases implements Leases {
  state: LeaseState = "held";
  moved = false;
  keptUntil = 7;
  /** The renewal with this number fails, counted from 1. */
  failsAt: number | undefined;
  readonly gone: string[] = [];
  readonly cleaned: string[] = [];
  readonly renewed: string[] = [];
  readonly prolonged: string[] = [];

  async renew(incarnation: string): Promise<Renewal> {
    this.renewed.push(incarnation);
    if (this.renewed.length === this.failsAt) throw new Error("away");
    const { state, moved } = this;
    this.state = "held";
    this.moved = false;
    return { state, moved, keptUntil: this.keptUntil, someGone: this.gone.length > 0 };
  }

  async claim(): Promise<string | undefined> {
    return this.gone.shift();
  }

  async cleared(incarnation: string): Promise<void> {
    this.cleaned.push(incarnation);
  }

  async prolong(incarnation: string): Promise<void> {
    this.prolonged.push(incarnation);
  }

  async release(): Promise<void> {
    return undefined;
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
    renewed: (because, keptUntil) =>
      told.push(`renewed, ${because}${because === "moved" ? `, kept until ${keptUntil}` : ""}`),
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
    leases.moved = true;
    await vi.advanceTimersByTimeAsync(2 * LEASE_MS);
    expect(told).toEqual(["renewed, moved, kept until 7", "put back"]);
    expect(leases.renewed.at(-1)).toBe(incarnation.current);
    expect(leases.prolonged.length).toBeGreaterThan(10);
    expect(new Set(leases.prolonged)).toEqual(new Set([before]));
    leases.prolonged.length = 0;
    slow.resolve();
    await vi.advanceTimersByTimeAsync(2 * LEASE_MS);
    expect(leases.prolonged).toEqual([]);
    life.stop();
  });

  it("[G5] a store that moves on while members are put back keeps both earlier lives until all is done", async () => {
    const first = Promise.withResolvers<void>();
    let tries = 0;
    const { life, leases, incarnation, told } = await begin({
      putBack: async () => (++tries === 1 ? first.promise : undefined),
    });
    const lives = [incarnation.current];
    for (let move = 0; move < 2; move++) {
      leases.moved = true;
      await vi.advanceTimersByTimeAsync(LEASE_MS / 6);
      lives.push(incarnation.current);
    }
    expect(new Set(lives).size).toBe(3);
    await vi.advanceTimersByTimeAsync(LEASE_MS / 6);
    expect(leases.prolonged.slice(-2)).toEqual(lives.slice(0, 2));
    first.reject(new Error("away"));
    await vi.advanceTimersByTimeAsync(LEASE_MS / 3);
    leases.prolonged.length = 0;
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(leases.prolonged).toEqual([]);
    expect(told.filter((line) => line.startsWith("renewed"))).toEqual([
      "renewed, moved, kept until 7",
      "renewed, moved, kept until 7",
    ]);
    life.stop();
  });

  it("[G5] a new life whose first renewal did not arrive is not taken for lost", async () => {
    const { life, leases, incarnation, told } = await begin();
    leases.moved = true;
    leases.failsAt = leases.renewed.length + 2;
    await vi.advanceTimersByTimeAsync(LEASE_MS / 6);
    const second = incarnation.current;
    leases.state = "lost";
    await vi.advanceTimersByTimeAsync(LEASE_MS / 6);
    expect(incarnation.current).toBe(second);
    expect(told).toEqual(["renewed, moved, kept until 7", "renewing the lease failed", "put back"]);
    leases.state = "lost";
    await vi.advanceTimersByTimeAsync(LEASE_MS / 6);
    expect(told.slice(3)).toEqual(["renewed, lost", "put back"]);
    life.stop();
  });

  it("[G5] looks at once when the store is back, and not any more once it has stopped", async () => {
    const { life, leases, told } = await begin();
    leases.moved = true;
    life.renewNow();
    await vi.advanceTimersByTimeAsync(0);
    expect(told).toEqual(["renewed, moved, kept until 7", "put back"]);
    life.stop();
    const { length } = leases.renewed;
    life.renewNow();
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(leases.renewed).toHaveLength(length);
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

  it("[G5] declares nobody gone for a whole length where its own lease had run out, and nobody had noticed", async () => {
    // The store's clock was put forward, or it stood still together with its nodes: all leases have run out.
    const { life, leases, incarnation, told } = await begin();
    const { current } = incarnation;
    await vi.advanceTimersByTimeAsync(2 * LEASE_MS);
    leases.gone.push("n2");
    leases.state = "lapsed";
    await vi.advanceTimersByTimeAsync(LEASE_MS);
    expect(told).toEqual([]);
    expect(incarnation.current).toBe(current);
    await vi.advanceTimersByTimeAsync(LEASE_MS / 3);
    expect(told).toEqual(["sweep n2"]);
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
