import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

const ROOT = join(import.meta.dirname, "../..");
export const RULES = "deploy/prometheus/rules/roomcast.yml";
export const RULE_TESTS = "deploy/prometheus/rules/roomcast.test.yml";

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
}

export interface AlertTest {
  readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[];
}

/** The committed alert rules. */
export function alerts(): readonly Alert[] {
  return parse(readFileSync(join(ROOT, RULES), "utf8")).groups.flatMap(({ rules }: { rules: Alert[] }) => rules);
}

/** The committed tests of them, as promtool runs them. */
export function alertTests(): readonly AlertTest[] {
  return parse(readFileSync(join(ROOT, RULE_TESTS), "utf8")).tests;
}
