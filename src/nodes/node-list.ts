/** How a node is, as it told last. */
export interface NodeLoad {
  readonly name: string;
  /** Unix milliseconds, by the node's own clock. */
  readonly startedAt: number;
  readonly connections: number;
  /** Rooms that it follows. */
  readonly rooms: number;
  /** The share of time in which its event loop was busy since it told before: 0 to 1. */
  readonly eventLoopUtilization: number;
  /** It is going, and hands its connections over. */
  readonly draining: boolean;
  /** Of Roomcast. */
  readonly version: string;
}

/** A node whose lease has not run out. */
export interface LiveNode extends NodeLoad {
  /** One life of its process, unlike any other. */
  readonly id: string;
}

export interface NodePage {
  readonly nodes: readonly LiveNode[];
  /** What could not be read, in words; empty where the list is complete. */
  readonly missing: readonly string[];
}

/**
 * The nodes that live, from what each of them writes down with its lease: nobody is asked, and nobody waited for. Who died is
 * in it until its lease runs out. Rejects with `unavailable`.
 */
export interface NodeList {
  list(): Promise<NodePage>;
}
