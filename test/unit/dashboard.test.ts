import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dashboardJson } from "../../grafana/dashboard.ts";
import { DASHBOARD_FILE, metricsOf, readDashboard } from "../support/dashboard.ts";
import { metricsOfNode } from "../support/metrics.ts";

/** The names under which Prometheus has the series of one node. */
function exported(): Set<string> {
  const { registry } = metricsOfNode();
  const names = registry.getMetricsAsArray().map(({ name }) => name);
  return new Set(names.flatMap((name) => [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]));
}

describe("the dashboard", () => {
  it("is committed as the code makes it (else: npm run dashboards)", () => {
    const committed = readFileSync(join(import.meta.dirname, "../..", DASHBOARD_FILE), "utf8");
    expect(committed).toBe(dashboardJson());
  });

  it("asks in valid PromQL, with its own variables, for metrics that nodes export", () => {
    const { queries, choices } = readDashboard("20s");
    expect(queries.length).toBeGreaterThan(20);
    const known = exported();
    const unknown = queries.flatMap(({ panel, expr }) =>
      metricsOf(expr)
        .filter((metric) => !known.has(metric))
        .map((metric) => `${panel}: ${metric}`),
    );
    expect(unknown).toEqual([]);
    for (const { metric } of choices) expect(known).toContain(metric);
  });
});

describe("the check of PromQL", () => {
  it("finds every metric, also in functions and joins", () => {
    expect(metricsOf('sum by (le) (rate(a_bucket{x="y"}[1m]) * on (i) group_left (n) b) / time()')).toEqual([
      "a_bucket",
      "b",
    ]);
  });

  it("refuses what Prometheus would not take", () => {
    for (const expr of ["sum by (rate(a[1m]))", "rate(a[$__rate_interval])", 'a{b="c"', '{a="b"}']) {
      expect(() => metricsOf(expr), expr).toThrow(expr);
    }
  });
});
