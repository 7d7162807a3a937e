import { expect, it } from "vitest";
import { alerts, RULE_TESTS, RULES } from "../support/alerts.ts";
import { metricsOfNode } from "../support/metrics.ts";
import { describeWithPrometheus } from "../support/promtool.ts";

/** Gauges of prom-client's own that are called totals: promtool minds, and they are not ours to rename. */
const NOT_OURS = /^nodejs_active_\w+_total /;

describeWithPrometheus("promtool", ({ promtool, promtoolReading }) => {
  it("finds nothing wrong with the alert rules", async () => {
    expect(await promtool("check", "rules", RULES)).toContain(`${alerts().length} rules found`);
  });

  it("sees each alert fire where it should, and be silent where it should not", async () => {
    expect(await promtool("test", "rules", RULE_TESTS)).toContain("SUCCESS");
  });

  it("finds nothing wrong with what /metrics exports", async () => {
    const text = await metricsOfNode().registry.metrics();
    const said = await promtoolReading(text, "check", "metrics").catch(({ stdout, stderr }) => `${stdout}${stderr}`);
    expect(said.split("\n").filter((line: string) => line !== "" && !NOT_OURS.test(line))).toEqual([]);
  });
});
