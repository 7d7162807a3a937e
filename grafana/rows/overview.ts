import { figure, type Panel } from "../panels.ts";
import { CHOSEN_TYPES, perSecond, quantile, total } from "../queries.ts";

/** Whether anything is wrong at all. */
export function overview(): Panel[] {
  const refused = ["roomcast_requests_refused_total", "roomcast_connections_refused_total"];
  return [
    figure({
      title: "Nodes up",
      description: "Nodes that answer Prometheus. Fewer than you run: look at the nodes' row and at what starts them.",
      unit: "short",
      width: 4,
      expr: 'count(roomcast_node_info{node=~"$node"})',
    }).noValue("0"),
    figure({
      title: "Connections",
      description: "Connections that are authenticated.",
      unit: "short",
      width: 4,
      expr: total("roomcast_connections"),
    }),
    figure({
      title: "Emits",
      description: "Messages and signals passed on to a room's members on a node, each once for every such node.",
      unit: "cps",
      width: 4,
      expr: total(perSecond(`roomcast_emits_total{${CHOSEN_TYPES}}`)),
    }),
    figure({
      title: "Messages accepted",
      description: "Messages acknowledged as stored. None while people talk: look at Redis and at the refusals.",
      unit: "cps",
      width: 4,
      expr: total(perSecond("roomcast_messages_accepted_total")),
    }),
    figure({
      title: "Delivery delay, p99",
      description: "From a message's time, by Redis' clock, until a node passes it on, by its own.",
      unit: "s",
      width: 4,
      expr: quantile(0.99, "roomcast_delivery_delay_seconds"),
      badFrom: 1,
    }),
    figure({
      title: "Refusals",
      description: "Requests answered with an error, and refused handshakes. Their codes are further down.",
      unit: "cps",
      width: 4,
      expr: refused.map((counter) => total(perSecond(counter))).join(" + "),
      badFrom: 1,
    }),
  ];
}
