import { graph, incidents, type Panel } from "../panels.ts";
import { growth, perSecond, sumBy } from "../queries.ts";

/** What leaves a node, and who does not take it. */
export function writes(): Panel[] {
  const written = (part: string) => sumBy("node", perSecond(`roomcast_messages_per_write_${part}`));
  return [
    graph({
      title: "Bytes delivered",
      description: "Bytes of messages' frames handed to connections.",
      unit: "Bps",
      width: 8,
      queries: [{ expr: sumBy("node", perSecond("roomcast_delivered_bytes_total")), legend: "{{node}}" }],
    }),
    graph({
      title: "Messages per write",
      description: "What one write to a socket carries: more in one means less CPU for each.",
      unit: "short",
      width: 8,
      queries: [{ expr: `${written("sum")} / ${written("count")}`, legend: "{{node}}" }],
    }),
    graph({
      title: "Outbound bytes",
      description: "Sent to connections and not taken by them. It grows where clients or the network are slow.",
      unit: "bytes",
      width: 8,
      queries: [{ expr: sumBy("node", "roomcast_outbound_bytes"), legend: "{{node}}" }],
    }),
    incidents({
      title: "Slow readers by node",
      description: "Readers that left the live stream, and signals that were not written to who owes too much.",
      width: 8,
      queries: [
        { expr: sumBy("node", growth("roomcast_slow_readers_total")), legend: "slow readers on {{node}}" },
        { expr: sumBy("node", growth("roomcast_signals_dropped_total")), legend: "signals dropped on {{node}}" },
      ],
    }),
    graph({
      title: "Connections by transport",
      description: "Polling in numbers: something between clients and nodes breaks websockets.",
      unit: "short",
      width: 8,
      queries: [{ expr: sumBy("transport", "roomcast_transport_connections"), legend: "{{transport}}" }],
    }),
    graph({
      title: "Disconnects by reason",
      description:
        "ping_timeout: clients vanish. transport_close: they go, or a balancer cuts. parse_error: no client of Socket.IO.",
      unit: "cps",
      width: 8,
      queries: [{ expr: sumBy("reason", perSecond("roomcast_disconnects_total")), legend: "{{reason}}" }],
    }),
  ];
}
