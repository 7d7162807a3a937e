import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parser } from "@prometheus-io/lezer-promql";

/** Where the files are that Grafana reads. */
export const DASHBOARDS = "grafana/dashboards";

/** What the tests look at in Grafana's JSON. */
export interface DashboardFile {
  readonly uid: string;
  readonly panels: readonly {
    readonly title: string;
    readonly type: string;
    readonly description?: string;
    readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
    readonly options?: { readonly yAxis?: { readonly unit?: string } };
    readonly targets?: readonly { readonly expr: string }[];
  }[];
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr: string }[] };
  readonly links: readonly {
    readonly tags: readonly string[];
    readonly keepTime: boolean;
    readonly includeVars: boolean;
  }[];
  readonly tags: readonly string[];
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

/** The committed dashboards. */
export function committedDashboards(): DashboardFile[] {
  const folder = join(import.meta.dirname, "../..", DASHBOARDS);
  return readdirSync(folder).map((file) => JSON.parse(readFileSync(join(folder, file), "utf8")));
}

/** The committed dashboards as Grafana would ask Prometheus: everything is chosen, and rates look back so far. */
export function readDashboards(rateInterval: string): {
  readonly queries: readonly PanelQuery[];
  /** What annotations ask for: mostly nothing. */
  readonly annotations: readonly PanelQuery[];
  /** What the variables ask for: the values of this label of this metric. */
  readonly choices: readonly { readonly metric: string; readonly label: string }[];
} {
  const all = committedDashboards().map((board) => {
    const list = board.templating.list;
    const values = new Map(list.map(({ name, allValue }) => [name, allValue]));
    values.set("__rate_interval", rateInterval);
    const expand = (expr: string) => expanded(expr, values);
    return {
      queries: board.panels.flatMap(({ title, targets = [] }) =>
        targets.map(({ expr }) => ({ panel: title, expr: expand(expr) })),
      ),
      annotations: board.annotations.list.map(({ name, expr }) => ({ panel: name, expr: expand(expr) })),
      choices: list
        .filter(({ type }) => type === "query")
        .map(({ query }) => {
          const [, metric = "", label = ""] = /^label_values\((\w+), (\w+)\)$/.exec(query) ?? [];
          return { metric, label };
        }),
    };
  });
  return {
    queries: all.flatMap(({ queries }) => queries),
    annotations: all.flatMap(({ annotations }) => annotations),
    choices: all.flatMap(({ choices }) => choices),
  };
}

function expanded(expr: string, values: ReadonlyMap<string, string | undefined>): string {
  return expr.replaceAll(/\$(\w+)/g, (variable, name: string) => {
    const value = values.get(name);
    if (value === undefined) throw new Error(`${variable} is no variable of the dashboard, or has no value: ${expr}`);
    return value;
  });
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
