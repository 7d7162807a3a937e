import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { RULE_MANIFEST, ruleManifest } from "../../deploy/prometheus/rule-manifest.ts";
import { alerts, alertTests } from "../support/alerts.ts";
import { metricsOf } from "../support/dashboard.ts";
import { exportedNames } from "../support/metrics.ts";

const ROOT = join(import.meta.dirname, "../..");
const read = (file: string) => readFileSync(join(ROOT, file), "utf8");

describe("the alert rules", () => {
  it("ask for metrics that there are", () => {
    const known = new Set(["up", ...exportedNames()]);
    expect(alerts().length).toBeGreaterThan(10);
    for (const { alert, expr } of alerts())
      for (const metric of metricsOf(expr)) expect(known, alert).toContain(metric);
  });

  it("have a page each, in one form, and no page is about another", () => {
    expect(readdirSync(join(ROOT, "docs/runbooks")).sort()).toEqual(
      alerts()
        .map(({ alert }) => `${alert}.md`)
        .sort(),
    );
    for (const { alert, annotations } of alerts()) {
      expect(annotations.runbook).toBe(`docs/runbooks/${alert}.md`);
      expect(read(annotations.runbook)).toMatch(/^# \w+\n\n\S.+\n\n## What to look at\n\n- .+\n\n## What to do\n\n- /s);
      expect(read("docs/operations.md")).toContain(`[${alert}](runbooks/${alert}.md)`);
    }
  });

  it("are tried by promtool, each firing and silent", () => {
    const tried = alertTests().flatMap(({ alert_rule_test: tests }) => tests);
    for (const { alert } of alerts()) {
      const outcomes = tried
        .filter(({ alertname }) => alertname === alert)
        .map(({ exp_alerts: fired }) => fired.length > 0);
      expect(outcomes.sort(), alert).toEqual([false, true]);
    }
  });

  it("are those of the Prometheus Operator's object, too: if not, npm run rules", () => {
    expect(readFileSync(RULE_MANIFEST, "utf8")).toBe(ruleManifest());
  });

  it("are read by compose's Prometheus", () => {
    const { rule_files: files } = parse(read("deploy/prometheus/prometheus.yml"));
    expect(files).toEqual(["/etc/prometheus/rules/roomcast.yml"]);
    const { services } = parse(read("docker-compose.yml"), { merge: true });
    expect(services.prometheus.volumes).toContain("./deploy/prometheus/rules:/etc/prometheus/rules:ro");
  });
});
