import type { DialectName } from "../load/command.ts";

export const CONTENDERS = ["roomcast", "sharded", "classic", "streams", "ws", "nats", "mosquitto", "floor"] as const;
export type ContenderName = (typeof CONTENDERS)[number];

export interface StartOptions {
  readonly nodes: number;
  /** Where a node finds Redis, if not at `redisUrl` itself: a relay that counts, say. */
  readonly redisUrlOf?: (redisUrl: string, node: number) => string | Promise<string>;
  /** Node.js processes also answer on a port of their own what only they know (`Probe`). */
  readonly probed?: boolean;
  /** Connections that one node must be able to have. */
  readonly connections?: number;
}

/** Servers of one contender, with a Redis of their own where they use one. They end with this process at the latest. */
export interface Running {
  readonly ports: readonly number[];
  /** Of the server processes, in the order of `ports`. */
  readonly serverPids: readonly number[];
  /** Of the server processes and Redis: what the contender's work costs. */
  readonly pids: readonly number[];
  /** One for each node where `probed` was asked for. */
  readonly probePorts: readonly number[];
  stop(): Promise<void>;
}

export interface Contender {
  readonly name: ContenderName;
  /** For people: what it is, with its version. */
  readonly label: string;
  readonly dialect: DialectName;
  start(options: StartOptions): Promise<Running>;
}
