/** Something that goes wrong. Nodes and clients are counted from 0, times are milliseconds. */
export type Fault =
  | { readonly kind: "cut clients"; readonly clients: readonly number[]; readonly forMs: number }
  | { readonly kind: "stop reading"; readonly client: number; readonly forMs: number }
  | { readonly kind: "arrive"; readonly client: number }
  | { readonly kind: "depart"; readonly client: number; readonly how: Departure }
  | { readonly kind: "kill node"; readonly node: number; readonly awayMs: number }
  | { readonly kind: "drain node"; readonly node: number }
  | { readonly kind: "freeze node"; readonly node: number; readonly forMs: number }
  | { readonly kind: "restart redis"; readonly awayMs: number }
  | { readonly kind: "empty redis"; readonly awayMs: number }
  | { readonly kind: "pause redis"; readonly forMs: number }
  /** What is written in the last `behindMs` is lost. */
  | { readonly kind: "fail over"; readonly behindMs: number; readonly awayMs: number }
  | { readonly kind: "close redis connections"; readonly type: "pubsub" | "normal" }
  | {
      readonly kind: "half-open";
      readonly nodes: readonly number[];
      readonly swallow: Swallow;
      readonly forMs: number;
    };

/** By `leaveRoom`, by the client's own disconnect, or by a connection that is lost for good. */
export type Departure = "leaves" | "disconnects" | "vanishes";

/** Which bytes between a node and Redis go nowhere. */
export type Swallow = "requests" | "replies" | "both";

export interface PlannedFault {
  /** From the beginning of the load. */
  readonly atMs: number;
  readonly fault: Fault;
}

/** What a node needs from its start until it serves, roughly: the next fault waits for it. */
const NODE_START_MS = 1_500;
/** What a drained restart takes, roughly. */
const NODE_DRAIN_MS = 4_000;
/** What Redis needs to start, roughly. */
const REDIS_START_MS = 300;

/** How long a fault lasts, roughly, for the plan; those that go on beside others take no time of it. */
export function lengthMs(fault: Fault): number {
  switch (fault.kind) {
    case "kill node":
      return fault.awayMs + NODE_START_MS;
    case "drain node":
      return NODE_DRAIN_MS;
    case "restart redis":
    case "empty redis":
      return fault.awayMs + REDIS_START_MS;
    case "fail over":
      return fault.behindMs + fault.awayMs + REDIS_START_MS;
    case "freeze node":
    case "pause redis":
    case "half-open":
      return fault.forMs;
    default:
      return 0;
  }
}

/** For people, in the timeline. */
export function describeFault(fault: Fault): string {
  switch (fault.kind) {
    case "cut clients":
      return `connections of ${fault.clients.map((client) => `c${client}`).join(" ")} cut for ${fault.forMs} ms`;
    case "stop reading":
      return `c${fault.client} stops reading its TCP socket for ${fault.forMs} ms`;
    case "arrive":
      return `c${fault.client} arrives`;
    case "depart":
      return `c${fault.client} ${fault.how}`;
    case "kill node":
      return `node-${fault.node + 1} killed (SIGKILL), started again after ${fault.awayMs} ms`;
    case "drain node":
      return `node-${fault.node + 1} drained (SIGTERM) and started again`;
    case "freeze node":
      return `node-${fault.node + 1} stopped (SIGSTOP) for ${fault.forMs} ms`;
    case "restart redis":
      return `Redis killed (SIGKILL), back with its AOF after ${fault.awayMs} ms`;
    case "empty redis":
      return `Redis killed (SIGKILL), back empty after ${fault.awayMs} ms`;
    case "fail over":
      return `another Redis takes its place after ${fault.awayMs} ms, without what was written in the last ${fault.behindMs} ms`;
    case "pause redis":
      return `Redis stopped (SIGSTOP) for ${fault.forMs} ms`;
    case "close redis connections":
      return `CLIENT KILL TYPE ${fault.type}`;
    case "half-open": {
      const nodes = fault.nodes.map((node) => `node-${node + 1}`).join(" ");
      return `${fault.swallow} between ${nodes} and Redis swallowed for ${fault.forMs} ms`;
    }
  }
}
