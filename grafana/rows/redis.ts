import { graph, incidents, type Panel } from "../panels.ts";
import { growth, largestLogs, ofNodes, perSecond, quantile, sumBy, total } from "../queries.ts";

/** How nodes and Redis get on. */
export function redis(): Panel[] {
  return [
    graph({
      title: "Redis connections",
      description: "How many nodes have this connection. Fewer than nodes: Redis or the network is away from some.",
      unit: "short",
      width: 8,
      queries: [{ expr: sumBy("role", "roomcast_redis_connected"), legend: "{{role}}" }],
    }),
    incidents({
      title: "Reconnects and resubscribes",
      description:
        "Connections that came back after they were lost, and subscriptions that were dead though TCP was up.",
      width: 8,
      queries: [
        { expr: sumBy("role", growth("roomcast_redis_reconnects_total")), legend: "{{role}}" },
        { expr: total(growth("roomcast_resubscribes_total")), legend: "resubscribes" },
      ],
    }),
    graph({
      title: "Silence",
      description: "Since a node last heard itself, and since Redis last took its write. At 3 s the node is unready.",
      unit: "s",
      width: 8,
      queries: [
        { expr: sumBy("node", "roomcast_redis_silence_seconds"), legend: "unheard by {{node}}" },
        { expr: sumBy("node", "roomcast_redis_unwritten_seconds"), legend: "unwritten by {{node}}" },
      ],
    }),
    graph({
      title: "Round trip, p99",
      description:
        "What nodes publish to themselves, until it comes back: Redis, the network, and the node's event loop.",
      unit: "s",
      width: 8,
      queries: [{ expr: quantile(0.99, "roomcast_pulse_round_trip_seconds"), legend: "p99" }],
    }),
    graph({
      title: "Subscriptions",
      description: "Channels that nodes listen to: one a room, and some of their own.",
      unit: "short",
      width: 8,
      queries: [{ expr: sumBy("node", "roomcast_subscriptions"), legend: "{{node}}" }],
    }),
    graph({
      title: "Bytes appended",
      description:
        "Bytes of messages stored per second. Times the age of the logs, and their bounds, it is what Redis must hold.",
      unit: "Bps",
      width: 8,
      queries: [{ expr: total(perSecond("roomcast_accepted_bytes_total")), legend: "bytes" }],
    }),
    graph({
      title: "Memory of Redis",
      description:
        "What Redis uses, and its maxmemory, where it has one. Full, it refuses writes: nobody can send. Give it memory, or shorten histories.",
      unit: "bytes",
      width: 8,
      queries: [
        { expr: `max ${ofNodes("roomcast_redis_memory_used_bytes")}`, legend: "used" },
        { expr: `max ${ofNodes("roomcast_redis_memory_limit_bytes")}`, legend: "maxmemory" },
      ],
    }),
    graph({
      title: "Log sizes, bytes",
      description: "Bytes of messages in the logs of the rooms that matter now; a room type's policy bounds each.",
      unit: "bytes",
      width: 8,
      queries: [{ expr: largestLogs("roomcast_room_log_bytes"), legend: "{{room}}" }],
    }),
    graph({
      title: "Log sizes, messages",
      description: "Messages in the logs of the rooms that matter now; a room type's policy bounds each.",
      unit: "short",
      width: 8,
      queries: [{ expr: largestLogs("roomcast_room_log_messages"), legend: "{{room}}" }],
    }),
    incidents({
      title: "Leases",
      description:
        "Leases that nodes lost, nodes that found another Redis or one that was started again, nodes that were cleared up after, and the connections that this took out of rooms.",
      width: 12,
      queries: [
        { expr: total(growth("roomcast_leases_lost_total")), legend: "leases lost" },
        { expr: total(growth("roomcast_redis_moves_total")), legend: "another Redis" },
        { expr: total(growth("roomcast_nodes_swept_total")), legend: "nodes swept" },
        { expr: total(growth("roomcast_members_swept_total")), legend: "members swept" },
      ],
    }),
    graph({
      title: "Lease held",
      description:
        "For how long each node's lease has been held without a break. It falls to nothing where Redis was away.",
      unit: "s",
      width: 12,
      queries: [{ expr: sumBy("node", "roomcast_lease_held_seconds"), legend: "{{node}}" }],
    }),
  ];
}
