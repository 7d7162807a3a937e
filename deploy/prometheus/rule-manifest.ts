import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";

/** What Prometheus reads, in compose and elsewhere. */
const RULES = join(import.meta.dirname, "rules/roomcast.yml");
/** What the Prometheus Operator reads: the same groups, which kustomize cannot put into an object by itself. */
export const RULE_MANIFEST = join(import.meta.dirname, "../../k8s/monitoring/alerts.generated.yaml");

/** The text of the manifest. */
export function ruleManifest(): string {
  const manifest = {
    apiVersion: "monitoring.coreos.com/v1",
    kind: "PrometheusRule",
    metadata: { name: "roomcast", labels: { "app.kubernetes.io/name": "roomcast" } },
    spec: parse(readFileSync(RULES, "utf8")),
  };
  return `# By npm run rules, of deploy/prometheus/rules/roomcast.yml: change that.\n${stringify(manifest, { lineWidth: 0 })}`;
}
