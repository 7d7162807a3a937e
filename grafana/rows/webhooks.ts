import { graph, incidents, type Panel } from "../panels.ts";
import { growth, ofNodes, perSecond, sumBy, total } from "../queries.ts";

/** Whether the application's servers hear of what happens; without `WEBHOOKS` there is no data. */
export function webhooks(): Panel[] {
  return [
    graph({
      title: "Webhook events delivered",
      description:
        "Events that endpoints took. It falls to nothing where an endpoint is away: what waits is beside it.",
      unit: "cps",
      width: 8,
      queries: [
        { expr: sumBy("endpoint", perSecond("roomcast_webhook_events_delivered_total")), legend: "{{endpoint}}" },
      ],
    }),
    graph({
      title: "Webhook deliveries waiting",
      description: "Deliveries that wait or are under way, and those that were given up, of the whole cluster.",
      unit: "short",
      width: 8,
      queries: [
        { expr: perEndpoint("roomcast_webhook_deliveries_queued"), legend: "{{endpoint}} waiting" },
        { expr: perEndpoint("roomcast_webhook_deliveries_dead"), legend: "{{endpoint}} dead" },
      ],
    }),
    graph({
      title: "Webhook bytes waiting",
      description: "Bytes of the deliveries that wait, in Redis.",
      unit: "bytes",
      width: 8,
      queries: [{ expr: perEndpoint("roomcast_webhook_queued_bytes"), legend: "{{endpoint}}" }],
    }),
    incidents({
      title: "Webhook attempts that failed",
      description: "Deliveries that an endpoint did not answer 2xx: they are tried again.",
      width: 12,
      queries: [{ expr: sumBy("endpoint", growth("roomcast_webhook_attempts_failed_total")), legend: "{{endpoint}}" }],
    }),
    incidents({
      title: "Webhook events given up",
      description: "dead: may be sent again from the dead-letter list. dropped and lost: will reach nobody.",
      width: 12,
      queries: [
        { expr: sumBy("endpoint", growth("roomcast_webhook_events_dead_total")), legend: "{{endpoint}} dead" },
        {
          expr: sumBy("endpoint, reason", growth("roomcast_webhook_events_dropped_total")),
          legend: "{{endpoint}} dropped: {{reason}}",
        },
        { expr: total(growth("roomcast_webhook_events_lost_total")), legend: "lost before any queue" },
      ],
    }),
  ];
}

/** Every node tells the same of the whole cluster. */
function perEndpoint(metric: string): string {
  return `max by (endpoint) ${ofNodes(metric)}`;
}
