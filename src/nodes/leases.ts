/**
 * What became of a lease.
 * - `held`: it goes on; `lapsed`: so it does, but it had run out, and others' may have with it, before anybody looked;
 * - `claimed`: it had run out, and another node takes this one's members out of the rooms, or did;
 * - `lost`: the store knows nothing of it: it is the first time, or the store lost what it had.
 */
export type LeaseState = "held" | "lapsed" | "claimed" | "lost";

export interface Renewal {
  readonly state: LeaseState;
  /** The store is another server than at the last call, or was started again. */
  readonly moved: boolean;
  /**
   * What this node had asked for, and heard of, before this moment (by `performance.now()`), the store has: replicas and files
   * lack the last writes and no others. 0 where that cannot be told.
   */
  readonly keptUntil: number;
  /** There is a node that `claim` would give; not looked at where this one's own lease was claimed. */
  readonly someGone: boolean;
}

/** The leases of all nodes. Times are the store's, so that no node's clock counts. Calls reject with `unavailable`. */
export interface Leases {
  /** Tells others how this node is, too. */
  renew(incarnation: string): Promise<Renewal>;

  /**
   * One node whose lease ran out, for the caller to clear up after; undefined where there is none. Nobody else gets it
   * until some seconds later, and then only if `cleared` was not called: a node may die while it clears up. `incarnation`: the
   * caller's own, who gets none without a lease.
   */
  claim(incarnation: string): Promise<string | undefined>;
  cleared(incarnation: string): Promise<void>;

  /** Puts off the end of the lease of an earlier life of the caller's, if it still has one; no list of nodes has that life. */
  prolong(incarnation: string): Promise<void>;

  /** Lets a lease run out in `afterMs`: a node that stops leaves its members that long to be back elsewhere. */
  release(incarnation: string, afterMs: number): Promise<void>;
}
