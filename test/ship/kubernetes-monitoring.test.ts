import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { IConfigMap } from "kubernetes-models/v1";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { RULES } from "../support/alerts.ts";
import { DASHBOARDS } from "../support/dashboard.ts";
import {
  all,
  describeWithKustomize,
  kustomized,
  named,
  podOf,
  portsOf,
  probesOf,
  selectedBy,
} from "../support/kustomize.ts";

const ROOT = join(import.meta.dirname, "../..");
/** What the API server and `kubectl apply` take of one object, in bytes. */
const APPLIED_AT_MOST = 262_144;

const read = (file: string) => readFileSync(join(ROOT, file), "utf8");

interface PodMonitor {
  readonly spec: {
    readonly jobLabel: string;
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly podMetricsEndpoints: readonly { readonly port: string; readonly path: string }[];
  };
}

describeWithKustomize("k8s/monitoring by the real kustomize (checked; no cluster ran it)", async () => {
  const production = await kustomized("k8s/production");

  it("every dashboard of grafana/ is in a ConfigMap for Grafana's sidecar, byte for byte, and nothing else", () => {
    const maps = all<IConfigMap>(production, "ConfigMap").filter(
      ({ metadata }) => metadata?.labels?.grafana_dashboard === "1",
    );
    const files = Object.assign({}, ...maps.map(({ data }) => data));
    const committed = readdirSync(join(ROOT, DASHBOARDS));
    expect(committed.length).toBeGreaterThan(3);
    expect(files).toEqual(Object.fromEntries(committed.map((file) => [file, read(join(DASHBOARDS, file))])));
    for (const map of maps) {
      expect(Object.keys(map.data ?? {})).toHaveLength(1);
      expect(Buffer.byteLength(JSON.stringify(map))).toBeLessThan(APPLIED_AT_MOST);
    }
  });

  it("the alerts are those of compose's Prometheus", () => {
    const { spec } = named<{ spec: unknown }>(production, "PrometheusRule", "roomcast");
    expect(spec).toEqual(parse(read(RULES)));
  });

  it("nodes and HAProxy are scraped where they answer, under the jobs that they have in compose", () => {
    const scraped = all<PodMonitor>(production, "PodMonitor").map(({ spec }) => {
      const [workload, ...others] = selectedBy(production, spec.selector.matchLabels);
      if (workload === undefined) throw new Error("a PodMonitor selects nothing");
      expect(others).toEqual([]);
      const [endpoint] = spec.podMetricsEndpoints;
      expect(portsOf(workload)).toContain(endpoint?.port);
      expect(endpoint?.path).toBe("/metrics");
      const port = podOf(workload).containers[0].ports?.find(({ name }) => name === endpoint?.port)?.containerPort;
      // Where the probes ask: Prometheus gets no other port opened for it.
      expect(probesOf(podOf(workload).containers[0]).map(({ httpGet }) => httpGet?.port)).toContain(endpoint?.port);
      return [spec.selector.matchLabels[spec.jobLabel], port];
    });
    interface Scrape {
      job_name: string;
      static_configs?: [{ targets: [string] }];
      dns_sd_configs?: [{ port: number }];
    }
    const jobs: Scrape[] = parse(read("deploy/prometheus/prometheus.yml")).scrape_configs;
    const compose = jobs.map((scrape) => [
      scrape.job_name,
      scrape.dns_sd_configs?.[0].port ?? Number(scrape.static_configs?.[0].targets[0].split(":")[1]),
    ]);
    // Load tests are compose's alone.
    expect(scraped).toEqual(compose.filter(([job]) => job !== "load"));
    expect(compose).toHaveLength(scraped.length + 1);
  });
});
