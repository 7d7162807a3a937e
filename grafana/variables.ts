import {
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  VariableRefresh,
  VariableSort,
} from "@grafana/grafana-foundation-sdk/dashboard";

/** The Prometheus that is chosen above the dashboard. */
export const DATASOURCE = { type: "prometheus", uid: `\${datasource}` };

/** A choice of a label's values, several or all. `.*` for all of them: those that come later belong to it, too. */
function choice(name: string, label: string, query: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(DATASOURCE)
    .query(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .allValue(".*")
    .current({ text: ["All"], value: ["$__all"] });
}

/** What is chosen above every dashboard; panels use it as `$node`, `$room_type`. */
export function nodeAndType(): (DatasourceVariableBuilder | QueryVariableBuilder)[] {
  return [
    new DatasourceVariableBuilder("datasource").label("Prometheus").type("prometheus"),
    choice("room_type", "Room type", "label_values(roomcast_emits_total, room_type)"),
    choice("node", "Node", "label_values(roomcast_node_info, node)"),
  ];
}

/** The rooms that have series of their own; panels use it as `$room`. */
export function roomChoice(): QueryVariableBuilder {
  return choice("room", "Room", "label_values(roomcast_room_connections, room)");
}
