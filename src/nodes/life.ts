import type { Intervals } from "../intervals.ts";
import type { Incarnation } from "./incarnation.ts";
import type { LeaseState, Leases } from "./leases.ts";

/** A lease is renewed this many times before it would run out. */
const RENEWALS_PER_LEASE = 6;

/**
 * Why a node goes on under a new incarnation: others tell that its members left (`claimed`), the store lost them all (`lost`) or
 * maybe the last that came and went (`moved`), and nobody was told anything.
 */
export type RenewedBecause = Exclude<LeaseState, "held" | "lapsed"> | "moved";

export interface LifeOptions {
  readonly intervals: Intervals;
  readonly leases: Leases;
  readonly incarnation: Incarnation;
  readonly leaseMs: number;
  /** Takes the members of a node that is gone out of all rooms. May be called again for the same one. */
  sweep(incarnation: string): Promise<void>;
  /**
   * This node goes on under a new incarnation. `keptUntil`, where it is not `lost`: what was asked for or heard of before that
   * moment, by `performance.now()`, the store has.
   */
  renewed(because: RenewedBecause, keptUntil: number): void;
  /** After `renewed`: puts this node's members back. May be called again. */
  putBack(): Promise<void>;
  failed(where: string, error: unknown): void;
}

/**
 * A node's proof that it is alive, and its eye on the others. It declares nobody gone before its own lease has been held
 * for a whole length without a break: after an outage of Redis everybody had the time to come back.
 */
export class Life {
  readonly #options: LifeOptions;
  readonly #stop: () => void;
  #heldSince: number | undefined;
  #begun = false;
  #renewing = false;
  #clearing = false;
  /** Members are to be put back. */
  #owing = false;
  #puttingBack = false;
  /** Earlier lives of this node whose members are being put back: until then nobody shall take them out. */
  readonly #earlier = new Set<string>();
  /** The store moved on while a new life began: what it kept then. */
  #keptSince: number | undefined;
  /** Of this life, at least once. */
  #hadLease = false;

  constructor(options: LifeOptions) {
    this.#options = options;
    this.#stop = options.intervals.every(options.leaseMs / RENEWALS_PER_LEASE, () => this.#tick());
  }

  /** Takes the first lease. Rejects with `unavailable`. */
  async begin(): Promise<void> {
    await this.#options.leases.renew(this.#options.incarnation.current);
    this.#hadLease = true;
    this.#begun = true;
    this.#heldSince = performance.now();
  }

  /** Renews the lease now: the store is back, and may be another one. */
  renewNow(): void {
    this.#tick();
  }

  /** For how long the lease has been held without a break, in milliseconds; 0 where it is not. */
  get heldMs(): number {
    return this.#heldSince === undefined ? 0 : performance.now() - this.#heldSince;
  }

  /** Whoever is back elsewhere within `graceMs` never left; the others are swept by another node, or by the next. */
  async end(graceMs: number): Promise<void> {
    this.stop();
    const { leases, incarnation } = this.#options;
    for (const life of [incarnation.current, ...this.#earlier]) await leases.release(life, graceMs);
  }

  stop(): void {
    this.#begun = false;
    this.#stop();
  }

  #tick(): void {
    if (!this.#begun || this.#renewing) return;
    this.#renewing = true;
    this.#renew()
      .catch((error: unknown) => {
        this.#heldSince = undefined;
        this.#options.failed("renewing the lease failed", error);
      })
      .finally(() => {
        this.#renewing = false;
      });
  }

  async #renew(): Promise<void> {
    const { leases, incarnation, leaseMs, renewed } = this.#options;
    const { state, moved, keptUntil, someGone } = await leases.renew(incarnation.current);
    if (!this.#begun) return;
    // All leases run out together where the store's clock is put forward, or it stood still with its nodes.
    if (state === "lapsed") this.#heldSince = undefined;
    // The first time that a life is heard of it is `lost` too.
    const isFirst = state === "lost" && !this.#hadLease;
    const goesOn = state === "held" || state === "lapsed" || isFirst;
    this.#hadLease = true;
    if (!goesOn || moved || this.#keptSince !== undefined) {
      this.#heldSince = undefined;
      this.#owing = true;
      if (goesOn) this.#earlier.add(incarnation.current);
      incarnation.renew();
      this.#hadLease = false;
      renewed(goesOn ? "moved" : state, Math.min(keptUntil, this.#keptSince ?? keptUntil));
      this.#keptSince = undefined;
      const first = await leases.renew(incarnation.current);
      if (first.moved) this.#keptSince = first.keptUntil;
      this.#hadLease = true;
    }
    for (const life of this.#earlier) await leases.prolong(life);
    if (!this.#begun) return;
    this.#heldSince ??= performance.now();
    if (this.#owing && !this.#puttingBack) this.#putBack();
    if (someGone && this.heldMs >= leaseMs && !this.#clearing) this.#clearUp();
  }

  /** Beside the renewing: many members take longer than a lease, which would run out again meanwhile. */
  #putBack(): void {
    this.#puttingBack = true;
    this.#owing = false;
    const earlier = [...this.#earlier];
    this.#options
      .putBack()
      .then(() => {
        // Their leases run out, and what is still under them is taken out by whoever is first.
        for (const life of earlier) this.#earlier.delete(life);
      })
      .catch((error: unknown) => {
        this.#owing = true;
        this.#options.failed("putting members back failed", error);
      })
      .finally(() => {
        this.#puttingBack = false;
      });
  }

  /** Beside the renewing: the rooms of a large node may take longer than a lease. */
  #clearUp(): void {
    this.#clearing = true;
    this.#clearAll()
      .catch((error: unknown) => this.#options.failed("clearing up after a node failed", error))
      .finally(() => {
        this.#clearing = false;
      });
  }

  async #clearAll(): Promise<void> {
    const { incarnation, leaseMs, leases, sweep } = this.#options;
    while (this.heldMs >= leaseMs) {
      const gone = await leases.claim(incarnation.current);
      if (gone === undefined) return;
      await sweep(gone);
      await leases.cleared(gone);
    }
  }
}
