import { type Gauges, Metrics } from "../../src/telemetry/metrics.ts";
import { WebhookMetrics } from "../../src/telemetry/webhook-metrics.ts";

/** A node's metrics where nothing goes on but what `gauges` says. */
export function metricsOfNode(node = "node-1", gauges: Partial<Gauges> = {}): Metrics {
  const idle: Gauges = {
    ready: () => true,
    draining: () => false,
    connections: () => 0,
    transports: () => [],
    feeds: () => 0,
    owed: () => 0,
    subscriptions: () => 0,
    redisConnected: () => true,
    silentMs: () => 0,
    unwrittenMs: () => 0,
    leaseHeldMs: () => 0,
    membersSwept: () => 0,
    redisMemory: () => ({ usedBytes: 0, limitBytes: 0 }),
    canaryPairs: () => [],
    canaryComparedMsAgo: () => 0,
  };
  return new Metrics({ node, gauges: { ...idle, ...gauges }, topRooms: 50, isConfigured: () => false });
}

/** The names under which Prometheus has the series of one node. */
export function exportedNames(): string[] {
  const { registry } = metricsOfNode();
  new WebhookMetrics(registry, []);
  const names = registry.getMetricsAsArray().map(({ name }) => name);
  return names.flatMap((name) => [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]);
}
