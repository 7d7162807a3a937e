import { graph, type Panel, type Unit } from "../panels.ts";
import { perSecond, sumBy } from "../queries.ts";

function byNode(title: string, description: string, unit: Unit, vector: string): Panel {
  const queries = [{ expr: sumBy("node", vector), legend: "{{node}}" }];
  return graph({ title, description, unit, width: 8, queries });
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
    byNode(
      "Event loop lag, p99",
      "By how much timers were late since the last scrape. Past 0.1 s everybody on the node feels it.",
      "s",
      "nodejs_eventloop_lag_p99_seconds",
    ),
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
