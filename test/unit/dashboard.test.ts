import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dashboardFiles } from "../../grafana/dashboard.ts";
import { METRICS, WEBHOOK_METRICS } from "../../src/telemetry/catalogue.ts";
import { committedDashboards, DASHBOARDS, metricsOf, readDashboards } from "../support/dashboard.ts";
import { exportedNames } from "../support/metrics.ts";

/** For alerts, for rates between others, or for looking up: no panel of their own. */
const NOT_SHOWN = [
  "roomcast_canary_comparison_age_seconds",
  "roomcast_canary_failed_total",
  "roomcast_canary_sent_total",
  "roomcast_connects_total",
  "roomcast_members",
  "roomcast_messages_duplicate_total",
  "roomcast_rooms",
];

describe("the dashboards", () => {
  it("are committed as the code makes them, and no other (else: npm run dashboards)", () => {
    const folder = join(import.meta.dirname, "../..", DASHBOARDS);
    const committed = readdirSync(folder).map((file) => [file, readFileSync(join(folder, file), "utf8")]);
    const made = [...dashboardFiles()].map(([uid, text]) => [`${uid}.generated.json`, text]);
    expect(Object.fromEntries(committed)).toEqual(Object.fromEntries(made));
  });

  it("ask in valid PromQL, with their own variables, for metrics that nodes export", () => {
    const { queries, annotations, choices } = readDashboards("20s");
    expect(queries.length).toBeGreaterThan(40);
    const known = new Set(exportedNames());
    const unknown = [...queries, ...annotations].flatMap(({ panel, expr }) =>
      metricsOf(expr)
        .filter((metric) => !known.has(metric))
        .map((metric) => `${panel}: ${metric}`),
    );
    expect(unknown).toEqual([]);
    for (const { metric } of choices) expect(known).toContain(metric);
  });

  it("describe every panel, give it a unit, link to each other, and mark starts and drains", () => {
    const boards = committedDashboards();
    expect(boards).toHaveLength(4);
    for (const { uid, panels, annotations, links, tags } of boards) {
      expect(links, uid).toMatchObject([{ tags, keepTime: true, includeVars: true }]);
      expect(annotations.list.map(({ name }) => name)).toEqual(["Node starts", "Drains"]);
      const shown = panels.filter(({ type }) => type !== "row");
      expect(new Set(shown.map(({ title }) => title)).size, uid).toBe(shown.length);
      for (const { title, description, fieldConfig, options } of shown) {
        expect(description?.length, `${uid}: ${title}`).toBeGreaterThan(20);
        expect(fieldConfig?.defaults.unit ?? options?.yAxis?.unit, `${uid}: ${title}`).toBeDefined();
      }
    }
  });

  it("show every metric that nodes export, but for what is said of them", () => {
    const { queries, annotations } = readDashboards("20s");
    const asked = new Set([...queries, ...annotations].flatMap(({ expr }) => metricsOf(expr)));
    const plain = [...asked].map((name) => name.replace(/_(bucket|sum|count)$/, ""));
    const unseen = Object.keys({ ...METRICS, ...WEBHOOK_METRICS }).filter((name) => !plain.includes(name));
    expect(unseen.sort()).toEqual([...NOT_SHOWN].sort());
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
