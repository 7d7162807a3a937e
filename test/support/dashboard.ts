import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parser } from "@prometheus-io/lezer-promql";

/** The file that Grafana reads. */
export const DASHBOARD_FILE = "grafana/dashboards/roomcast.generated.json";

/** What the tests look at in Grafana's JSON. */
interface DashboardFile {
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[];
  readonly templating: {
    readonly list: readonly {
      readonly name: string;
      readonly type: string;
      readonly query: string;
      readonly allValue?: string;
    }[];
  };
}

export interface PanelQuery {
  readonly panel: string;
  /** PromQL without variables. */
  readonly expr: string;
}

/** The committed dashboard as Grafana would ask Prometheus: everything is chosen, and rates look back so far. */
export function readDashboard(rateInterval: string): {
  readonly queries: readonly PanelQuery[];
  /** What the variables ask for: the values of this label of this metric. */
  readonly choices: readonly { readonly metric: string; readonly label: string }[];
} {
  const { panels, templating }: DashboardFile = JSON.parse(
    readFileSync(join(import.meta.dirname, "../..", DASHBOARD_FILE), "utf8"),
  );
  const values = new Map(templating.list.map(({ name, allValue }) => [name, allValue]));
  values.set("__rate_interval", rateInterval);
  const expand = (expr: string) =>
    expr.replaceAll(/\$(\w+)/g, (variable, name: string) => {
      const value = values.get(name);
      if (value === undefined) throw new Error(`${variable} is no variable of the dashboard, or has no value: ${expr}`);
      return value;
    });
  return {
    queries: panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({ panel: title, expr: expand(expr) })),
    ),
    choices: templating.list
      .filter(({ type }) => type === "query")
      .map(({ query }) => {
        const [, metric = "", label = ""] = /^label_values\((\w+), (\w+)\)$/.exec(query) ?? [];
        return { metric, label };
      }),
  };
}

/** The metrics that an expression of PromQL names. Throws where it is none. */
export function metricsOf(expr: string): string[] {
  const metrics: string[] = [];
  parser.parse(expr).iterate({
    enter({ type, node, from }) {
      if (type.isError) throw new Error(`no PromQL from character ${from}: ${expr}`);
      if (type.name !== "VectorSelector") return;
      const name = node.getChild("Identifier");
      if (name === null) throw new Error(`a selector without a metric from character ${from}: ${expr}`);
      metrics.push(expr.slice(name.from, name.to));
    },
  });
  return metrics;
}
