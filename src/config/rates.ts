import type { Rate } from "../room/budget.ts";
import type { RateLimits, RoomRateLimits } from "../room/rates.ts";
import type { Values } from "../variables.ts";

/** Rates that are not those of one connection's requests. */
export interface FloodLimits {
  readonly room: RoomRateLimits;
  /** Of one connection. */
  readonly frames: Rate;
  /** Of one connection: how many `rate_limited` it may be answered. */
  readonly refusals: Rate;
  /** New ones, of the node. */
  readonly connections: Rate;
}

/** Of one connection's requests. */
export function rateSettings(values: Values): RateLimits | "off" {
  if (values.RATE_LIMITS === "off") return "off";
  return {
    join: { perSecond: values.RATE_JOIN_PER_SECOND, burst: values.RATE_JOIN_BURST },
    send: { perSecond: values.RATE_SEND_PER_SECOND, burst: values.RATE_SEND_BURST },
    signal: { perSecond: values.RATE_SIGNAL_PER_SECOND, burst: values.RATE_SIGNAL_BURST },
    read: { perSecond: values.RATE_READ_PER_SECOND, burst: values.RATE_READ_BURST },
    state: { perSecond: values.RATE_STATE_PER_SECOND, burst: values.RATE_STATE_BURST },
    moderate: { perSecond: values.RATE_MODERATE_PER_SECOND, burst: values.RATE_MODERATE_BURST },
    renew: { perSecond: values.RATE_RENEW_PER_SECOND, burst: values.RATE_RENEW_BURST },
  };
}

/** Of one API key, on one node. */
export function apiRate(values: Values): Rate | "off" {
  if (values.RATE_LIMITS === "off") return "off";
  return { perSecond: values.RATE_API_PER_SECOND, burst: values.RATE_API_BURST };
}

/** Of everything else that may come too fast. */
export function floodSettings(values: Values): FloodLimits | "off" {
  if (values.RATE_LIMITS === "off") return "off";
  return {
    room: {
      send: { perSecond: values.RATE_ROOM_SEND_PER_SECOND, burst: values.RATE_ROOM_SEND_BURST },
      signal: { perSecond: values.RATE_ROOM_SIGNAL_PER_SECOND, burst: values.RATE_ROOM_SIGNAL_BURST },
    },
    frames: { perSecond: values.RATE_FRAMES_PER_SECOND, burst: values.RATE_FRAMES_BURST },
    refusals: { perSecond: values.RATE_REFUSALS_PER_SECOND, burst: values.RATE_REFUSALS_BURST },
    connections: { perSecond: values.RATE_CONNECTIONS_PER_SECOND, burst: values.RATE_CONNECTIONS_BURST },
  };
}
