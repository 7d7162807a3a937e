import type { ServerOptions } from "node:http";
import { clientAddress } from "./client-address.ts";
import type { Config } from "./config/config.ts";
import type { Intervals } from "./intervals.ts";
import type { WelcomeLimits } from "./protocol.ts";
import type { SocketServerOptions } from "./socket/server.ts";

/** How much longer a whole request may take than its headers. */
const BODY_TIMES_HEADERS = 3;
/** Slow requests are looked for so many times before one is too slow: it may have this share of its time more. */
const LOOKS_PER_TIMEOUT = 4;

/**
 * How long a connection is kept between two requests, in milliseconds. Balancers keep theirs for up to 60 s: closed by the
 * node just as a request comes over it (Node's own default is 5 s), it would be answered with 502, and nobody could tell
 * whether it was carried out.
 */
const KEEP_ALIVE_MS = 65_000;

/** Whoever sends a request byte by byte, or none at all, is closed: headers have the time of a handshake. */
export function httpTimeouts(headersTimeout: number): ServerOptions {
  return {
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout,
    requestTimeout: BODY_TIMES_HEADERS * headersTimeout,
    connectionsCheckingInterval: Math.ceil(headersTimeout / LOOKS_PER_TIMEOUT),
  };
}

/** What the Socket.IO side is given of the configuration. */
export function socketOptions(config: Config, keepRequests: boolean, intervals: Intervals): SocketServerOptions {
  const { limits } = config;
  return {
    intervals,
    nodeName: config.nodeName,
    corsOrigins: config.corsOrigins,
    rates: config.rates,
    floods: config.floods,
    addressOf: clientAddress(config.trustedProxies),
    welcomeLimits: welcomeLimits(config),
    maxConnections: limits.maxConnections,
    maxConnectionsPerUser: limits.maxConnectionsPerUser,
    maxConnectionsPerAddress: limits.maxConnectionsPerAddress,
    maxHandshakes: limits.maxHandshakes,
    maxPending: limits.maxPendingRequests,
    requestTimeoutMs: limits.requestTimeoutMs,
    handshakeTimeoutMs: limits.handshakeTimeoutMs,
    outboundBytes: limits.maxOutboundBytes,
    outboundBytesPerNode: limits.maxOutboundBytesPerNode,
    serveClient: config.demo.kind === "on",
    keepRequests,
  };
}

function welcomeLimits({ limits, rates, dedupeSeconds }: Config): WelcomeLimits {
  const perSecond = rates === "off" ? [] : Object.entries(rates).map(([kind, rate]) => [kind, rate.perSecond] as const);
  return {
    payload: limits.maxPayloadBytes,
    rooms: limits.maxRoomsPerConnection,
    rates: Object.fromEntries(perSecond),
    dedupe: dedupeSeconds,
    grace: limits.graceSeconds,
  };
}
