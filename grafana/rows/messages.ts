import { graph, heatMap, type Panel } from "../panels.ts";
import { perSecond, quantile, sumBy, total } from "../queries.ts";

/** Two panels of one histogram: where its middle and its end are, and the whole of it. */
function timing(title: string, description: string, histogram: string): Panel[] {
  return [
    graph({
      title,
      description,
      unit: "s",
      width: 8,
      queries: [
        { expr: quantile(0.5, histogram), legend: "p50" },
        { expr: quantile(0.99, histogram), legend: "p99" },
      ],
    }),
    heatMap({
      title: `${title}, all`,
      description,
      unit: "s",
      width: 8,
      expr: sumBy("le", perSecond(`${histogram}_bucket`)),
    }),
  ];
}

/** How messages come through. */
export function messages(): Panel[] {
  return [
    ...timing(
      "Append duration",
      "From handing a message to the log until it is stored. It is Redis' answer: slow here is slow there, or on the way.",
      "roomcast_append_duration_seconds",
    ),
    graph({
      title: "Joins and history, p99",
      description:
        "From the request until its ok ack. Joins read what was missed: many at once after a deploy take longer.",
      unit: "s",
      width: 8,
      queries: [
        { expr: quantile(0.99, "roomcast_join_duration_seconds"), legend: "joinRoom" },
        { expr: quantile(0.99, "roomcast_history_duration_seconds"), legend: "getHistory" },
      ],
    }),
    graph({
      title: "Accepted",
      description: "Messages acknowledged as stored, and signals accepted.",
      unit: "cps",
      width: 8,
      queries: [
        { expr: total(perSecond("roomcast_messages_accepted_total")), legend: "messages" },
        { expr: total(perSecond("roomcast_signals_accepted_total")), legend: "signals" },
      ],
    }),
    ...timing(
      "Delivery delay",
      "From a message's time, by Redis' clock, until the write to each live member's socket, by the node's: clocks that differ show here, too.",
      "roomcast_delivery_delay_seconds",
    ),
    graph({
      title: "Delivered",
      description: "Messages handed to connections: every message once for each connection in its room.",
      unit: "cps",
      width: 8,
      queries: [{ expr: sumBy("node", perSecond("roomcast_messages_delivered_total")), legend: "{{node}}" }],
    }),
  ];
}
