import { graph, incidents, type Panel } from "../panels.ts";
import { growth, perSecond, sumBy, total } from "../queries.ts";

/** What was repaired, what could not be, and what was refused. */
export function trouble(): Panel[] {
  return [
    incidents({
      title: "Gaps and slow readers",
      description:
        "Gaps in a room's stream that were filled from the log: nothing is lost, but Redis or the network faltered. " +
        "Readers that left the live stream: their connections do not keep up.",
      width: 12,
      queries: [
        { expr: total(growth("roomcast_gaps_found_total")), legend: "gaps found" },
        { expr: total(growth("roomcast_gaps_repaired_total")), legend: "gaps repaired" },
        { expr: total(growth("roomcast_slow_readers_total")), legend: "slow readers" },
      ],
    }),
    incidents({
      title: "Resyncs by reason",
      description:
        "Readers whose stream ended. epoch: Redis lost data. behind: the log had run past a slow one. " +
        "log_unavailable: the log could not be read.",
      width: 12,
      queries: [{ expr: sumBy("reason", growth("roomcast_resyncs_total")), legend: "{{reason}}" }],
    }),
    graph({
      title: "Requests answered",
      description: "Requests answered with ok, by request. A request that stops while others go on has broken.",
      unit: "cps",
      width: 8,
      queries: [{ expr: sumBy("request", perSecond("roomcast_requests_total")), legend: "{{request}}" }],
    }),
    incidents({
      title: "Recoveries",
      description:
        "Joins with a position. recovered: the stream went on. reload: it could not. forbidden: the token may not read history.",
      width: 8,
      queries: [{ expr: sumBy("outcome", growth("roomcast_recoveries_total")), legend: "{{outcome}}" }],
    }),
    incidents({
      title: "Rates reached",
      description:
        "By the limit. requests: rate_limited answers. room: of these, the room's. frames and refusals: connections ended. connections: HTTP 429 at the door.",
      width: 8,
      queries: [{ expr: sumBy("limit", growth("roomcast_rate_limited_total")), legend: "{{limit}}" }],
    }),
    graph({
      title: "Requests refused by code",
      description: "unavailable: Redis is away. internal: a fault of ours, it is in the log with its stack.",
      unit: "cps",
      width: 8,
      queries: [{ expr: sumBy("code", perSecond("roomcast_requests_refused_total")), legend: "{{code}}" }],
    }),
    graph({
      title: "Requests refused by request",
      description: "Which request it is that fails.",
      unit: "cps",
      width: 8,
      queries: [{ expr: sumBy("request", perSecond("roomcast_requests_refused_total")), legend: "{{request}}" }],
    }),
    graph({
      title: "HTTP API calls",
      description: "Calls of /v1 by the application's servers that were carried out.",
      unit: "cps",
      width: 8,
      queries: [{ expr: sumBy("call", perSecond("roomcast_api_calls_total")), legend: "{{call}}" }],
    }),
    graph({
      title: "HTTP API calls refused by code",
      description: "unavailable: Redis is away. internal: a fault of ours. unauthorized: a wrong API key.",
      unit: "cps",
      width: 8,
      queries: [{ expr: sumBy("code", perSecond("roomcast_api_calls_refused_total")), legend: "{{code}}" }],
    }),
    graph({
      title: "Connections refused by code",
      description: "token_expired or unauthorized in numbers: whoever makes the tokens has another secret or clock.",
      unit: "cps",
      width: 8,
      queries: [{ expr: sumBy("code", perSecond("roomcast_connections_refused_total")), legend: "{{code}}" }],
    }),
  ];
}
