import type { Values } from "../variables.ts";

/** Connections of one address, where `TRUSTED_PROXIES` says that addresses mean something. */
const DEFAULT_CONNECTIONS_PER_ADDRESS = 1_000;

/** Bounds and times that are not part of another setting; the units are in the names. */
export interface Limits {
  readonly maxPayloadBytes: number;
  /** The body of one call with many messages. */
  readonly maxBatchBytes: number;
  readonly maxStateBytes: number;
  readonly maxRoomsPerConnection: number;
  readonly maxPendingRequests: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerUser: number;
  readonly maxConnectionsPerAddress: number;
  /** Connections that are not authenticated. */
  readonly maxHandshakes: number;
  /** Live messages held for one joining reader, or for one feed that repairs a gap. */
  readonly maxHeldBytes: number;
  /** What one connection may be owed before its readers leave the live stream. */
  readonly maxOutboundBytes: number;
  /** What all connections of the node together may be owed. */
  readonly maxOutboundBytesPerNode: number;
  readonly handshakeTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly graceSeconds: number;
  readonly leaseSeconds: number;
  readonly feedLingerMs: number;
  readonly canaryIntervalMs: number;
  /** Rooms with series of their own in `/metrics`. */
  readonly metricsTopRooms: number;
}

/** The bounds and times of these variables. */
export function limitSettings(values: Values): Limits {
  return {
    maxPayloadBytes: values.MAX_PAYLOAD_BYTES,
    maxBatchBytes: values.MAX_BATCH_BYTES,
    maxStateBytes: values.MAX_STATE_BYTES,
    maxRoomsPerConnection: values.MAX_ROOMS_PER_CONNECTION,
    maxPendingRequests: values.MAX_PENDING_REQUESTS,
    maxConnections: values.MAX_CONNECTIONS,
    maxConnectionsPerUser: values.MAX_CONNECTIONS_PER_USER,
    maxConnectionsPerAddress: values.MAX_CONNECTIONS_PER_ADDRESS ?? DEFAULT_CONNECTIONS_PER_ADDRESS,
    maxHandshakes: values.MAX_HANDSHAKES,
    maxHeldBytes: values.MAX_HELD_BYTES,
    maxOutboundBytes: values.MAX_OUTBOUND_BYTES,
    maxOutboundBytesPerNode: values.MAX_OUTBOUND_BYTES_PER_NODE,
    handshakeTimeoutMs: values.HANDSHAKE_TIMEOUT_MS,
    requestTimeoutMs: values.REQUEST_TIMEOUT_MS,
    graceSeconds: values.GRACE_SECONDS,
    leaseSeconds: values.LEASE_SECONDS,
    feedLingerMs: values.FEED_LINGER_MS,
    canaryIntervalMs: values.CANARY_INTERVAL_MS,
    metricsTopRooms: values.METRICS_TOP_ROOMS,
  };
}
