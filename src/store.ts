import type { Server } from "socket.io";
import type { RoomChannels } from "./feed/room-channels.ts";
import type { RoomLog } from "./log/room-log.ts";
import type { Bans } from "./moderation/bans.ts";
import type { RenewedBecause } from "./nodes/life.ts";
import type { NodeList, NodeLoad } from "./nodes/node-list.ts";
import type { GraceOf, Presence } from "./presence/presence.ts";
import type { RoomDirectory } from "./presence/room-directory.ts";
import type { RoomIndex } from "./presence/seats.ts";
import type { ConnectionRole } from "./redis/connection.ts";
import type { RedisMemory } from "./redis/memory-gauge.ts";
import type { Webhooks } from "./webhooks/webhooks.ts";

/** What a node keeps outside itself, and how it hears of it. */
export interface Store {
  readonly log: RoomLog;
  readonly presence: Presence;
  readonly bans: Bans;
  readonly index: RoomIndex;
  readonly directory: RoomDirectory;
  readonly nodes: NodeList;
  readonly channels: RoomChannels;
  readonly pulse: StorePulse;
  /** Undefined where no endpoint is configured. */
  readonly webhooks: Webhooks | undefined;
  readonly health: StoreHealth;
  /** Puts the adapter under a Socket.IO server, and tells when the node stops and starts hearing the others. */
  serve(io: Server, events: StoreEvents): void;
  /** Resolves once the store can be used, however long that takes. Rejects where the server is too old. */
  ready(): Promise<void>;
  /** Takes out who is in the grace of a node that has stopped. Rejects with `unavailable`; may be repeated. */
  endStoppedGrace(of: GraceOf): Promise<void>;
  /**
   * This node stops: its members count as present for so long, and are taken out by another node after that. Resolves once
   * what others published before that was heard here. Rejects with `unavailable`.
   */
  handOver(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

export interface StorePulse {
  readonly hearing: boolean;
  /** For how long nothing was heard, in milliseconds. */
  readonly silentMs: number;
  /** For how long nothing could be written, in milliseconds, and what the last write was refused with. */
  readonly unwrittenMs: number;
  readonly refusal: string | undefined;
}

/** What can be asked of the store at any time, for the metrics. */
export interface StoreHealth {
  /** Channels that this node listens to. */
  readonly subscriptions: number;
  /** For how long the lease has been held without a break, in milliseconds. */
  readonly leaseHeldMs: number;
  /** Connections of nodes that were gone, taken out of rooms by this node. */
  readonly membersSwept: number;
  /** How full Redis is, where it is known. */
  readonly memory: RedisMemory | undefined;
  /** Whether this connection to Redis is ready; undefined where there is none. */
  connected(role: ConnectionRole): boolean | undefined;
}

/** What the store counts: these only add up. */
export interface StoreCounts {
  /** A connection to Redis is back after it was lost. */
  reconnected(role: ConnectionRole): void;
  /** This node was taken for gone, or Redis lost its lease. */
  leaseLost(): void;
  /** Redis is another server, or was started again, and has this node's lease. */
  redisMoved(): void;
  /** A node was gone, or went on under a new incarnation, and this one cleared up after it. */
  nodeSwept(): void;
  /** A subscription was built anew because nothing came back. */
  resubscribed(): void;
  /** What this node published to itself came back after so many seconds. */
  roundTrip(seconds: number): void;
}

export interface StoreEvents {
  stalled(since: number): void;
  restored(): void;
  /** The store may know nothing of this node's members any more, or not of all: as `LifeOptions.renewed`. */
  renewed(because: RenewedBecause, keptUntil: number): void;
  /** After `renewed`: puts them back. */
  putBack(): Promise<void>;
  /** How this node is now, for the list of nodes. */
  load(): NodeLoad;
}
