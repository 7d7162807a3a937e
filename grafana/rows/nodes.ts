import { graph, type Panel, type Unit } from "../panels.ts";
import { perSecond, quantileBy, sumBy } from "../queries.ts";

const NODE_WIDTH = 8;

function byNode(title: string, description: string, unit: Unit, vector: string): Panel {
  const queries = [{ expr: sumBy("node", vector), legend: "{{node}}" }];
  return graph({ title, description, unit, width: NODE_WIDTH, queries });
}

/** Which node it is. */
export function nodes(): Panel[] {
  return [
    byNode(
      "Connections by node",
      "Uneven after a deploy: clients stay where they are.",
      "short",
      "roomcast_connections",
    ),
    graph({
      title: "Event loop lag, p99",
      description: "By how much timers are late. Past 0.1 s everybody on the node feels it.",
      unit: "s",
      width: NODE_WIDTH,
      queries: [{ expr: quantileBy("node", 0.99, "roomcast_event_loop_delay_seconds"), legend: "{{node}}" }],
    }),
    byNode(
      "CPU",
      "Of one core; a node uses little more than one.",
      "percentunit",
      perSecond("process_cpu_seconds_total"),
    ),
    byNode("Memory", "Resident, all of the process.", "bytes", "process_resident_memory_bytes"),
    byNode("Heap used", "A floor that only rises is a leak.", "bytes", "nodejs_heap_size_used_bytes"),
    byNode(
      "Uptime",
      "It falls to nothing where a node was started again.",
      "s",
      "(time() - process_start_time_seconds)",
    ),
  ];
}
