import { figure, graph, heatMap, type Panel } from "../panels.ts";
import { deliveredShare, perSecond, sumBy, total } from "../queries.ts";

/** The promise, as canary messages between every two nodes measure it. */
export function delivery(): Panel[] {
  return [
    figure({
      title: "Canary messages delivered",
      description:
        "The share of canary messages in the log that every node heard within 2 s. Less than all: the graph beside says between which nodes.",
      unit: "percentunit",
      width: 4,
      expr: deliveredShare("job"),
      goodFrom: 0.999,
    }),
    figure({
      title: "Canary lag",
      description: "The longest way of a canary message from the log to a node, in the last comparison.",
      unit: "s",
      width: 4,
      expr: "max(roomcast_canary_lag_seconds)",
      badFrom: 1,
    }),
    figure({
      title: "Nodes ready",
      description: "Nodes that say yes at /readyz. Fewer than are up: they start, drain, or do not hear Redis.",
      unit: "short",
      width: 4,
      expr: total("roomcast_node_ready"),
    }),
    graph({
      title: "Delivered by pair",
      description:
        "The share that a node heard of another one's canary messages. One line low: the way between these two. All of a receiver low: that node does not hear.",
      unit: "percentunit",
      width: 12,
      queries: [{ expr: deliveredShare("from, node"), legend: "{{from}} to {{node}}" }],
    }),
    graph({
      title: "Lag by pair",
      description: "The longest way of a canary message from the log to the node, by Redis' clock.",
      unit: "s",
      width: 12,
      queries: [{ expr: sumBy("from, node", "roomcast_canary_lag_seconds"), legend: "{{from}} to {{node}}" }],
    }),
    heatMap({
      title: "Canary delay",
      description: "From the log to a node, for all canary messages. A second band is a slow node or way.",
      unit: "s",
      width: 12,
      expr: sumBy("le", perSecond("roomcast_canary_delay_seconds_bucket")),
    }),
  ];
}
