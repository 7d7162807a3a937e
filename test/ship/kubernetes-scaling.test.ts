import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { IDeployment } from "kubernetes-models/apps/v1";
import type { IHorizontalPodAutoscaler, IHorizontalPodAutoscalerBehavior } from "kubernetes-models/autoscaling/v2";
import { expect, it } from "vitest";
import { parseConfig } from "../../src/config/config.ts";
import { metricsOf } from "../support/dashboard.ts";
import { all, describeWithKustomize, kustomized, named } from "../support/kustomize.ts";

const HAPROXY_CFG = readFileSync(join(import.meta.dirname, "../../deploy/haproxy/haproxy.cfg"), "utf8");

interface ScaledObject {
  readonly spec: {
    readonly scaleTargetRef: { readonly name: string; readonly kind?: string };
    readonly minReplicaCount: number;
    readonly maxReplicaCount: number;
    readonly fallback: unknown;
    readonly advanced: {
      readonly horizontalPodAutoscalerConfig: { readonly behavior: IHorizontalPodAutoscalerBehavior };
    };
    readonly triggers: readonly {
      readonly type: string;
      readonly metricType: string;
      readonly metadata: Readonly<Record<string, string>>;
    }[];
  };
}

describeWithKustomize("scaling in k8s/ by the real kustomize (checked; no cluster scaled by it)", async () => {
  const [base = [], local = [], production = []] = await Promise.all(
    ["k8s/base", "k8s/local", "k8s/production"].map(kustomized),
  );
  const ofCpu = (objects: typeof base) => all<IHorizontalPodAutoscaler>(objects, "HorizontalPodAutoscaler");
  const ofConnections = () => named<ScaledObject>(production, "ScaledObject", "roomcast").spec;

  it("one autoscaler has the number of nodes, and the Deployment says none of its own", () => {
    for (const objects of [base, local, production]) {
      const scalers = objects.filter(({ kind }) => kind === "HorizontalPodAutoscaler" || kind === "ScaledObject");
      expect(scalers).toHaveLength(1);
      expect(named<IDeployment>(objects, "Deployment", "roomcast").spec?.replicas).toBeUndefined();
    }
    expect(ofCpu(base)).toHaveLength(1);
    expect(ofCpu(production)).toEqual([]);
    for (const target of [ofCpu(base)[0]?.spec?.scaleTargetRef, ofConnections().scaleTargetRef]) {
      expect(target).toMatchObject({ name: "roomcast" });
      expect(target?.kind ?? "Deployment").toBe("Deployment");
    }
  });

  it("HAProxy has a place for every node, and for the one more of an update", () => {
    const places = Number(/server-template node (\d+) /.exec(HAPROXY_CFG)?.[1]);
    const surge = named<IDeployment>(base, "Deployment", "roomcast").spec?.strategy?.rollingUpdate?.maxSurge;
    for (const most of [ofCpu(base)[0]?.spec?.maxReplicas, ofConnections().maxReplicaCount]) {
      expect(Number(most) + Number(surge)).toBeLessThanOrEqual(places);
    }
    expect(ofConnections().minReplicaCount).toBeGreaterThan(ofCpu(base)[0]?.spec?.minReplicas ?? 0);
  });

  it("goes down one node in three minutes, ten minutes after the last need of it, whoever scales", () => {
    for (const behavior of [
      ofCpu(base)[0]?.spec?.behavior,
      ofConnections().advanced.horizontalPodAutoscalerConfig.behavior,
    ]) {
      expect(behavior?.scaleDown).toEqual({
        stabilizationWindowSeconds: 600,
        policies: [{ type: "Pods", value: 1, periodSeconds: 180 }],
      });
      expect(behavior).toEqual(ofCpu(base)[0]?.spec?.behavior);
    }
  });

  it("counts connections by a metric that nodes have, in the namespace where they are, and keeps what there is without an answer", () => {
    const { triggers, minReplicaCount, fallback } = ofConnections();
    const [connections, cpu, ...others] = triggers;
    expect(others).toEqual([]);
    expect(connections).toMatchObject({
      type: "prometheus",
      metricType: "AverageValue",
      metadata: { ignoreNullValues: "false" },
    });
    const query = connections?.metadata.query ?? "";
    expect([...metricsOf(query)]).toEqual(["roomcast_connections"]);
    const namespace = named<IDeployment>(production, "Deployment", "roomcast").metadata?.namespace;
    expect(query).toContain(`namespace="${namespace}"`);
    expect(Number(connections?.metadata.threshold)).toBeLessThan(parseConfig({}).limits.maxConnections);
    expect(fallback).toEqual({ failureThreshold: 4, replicas: minReplicaCount, behavior: "currentReplicasIfHigher" });
    expect(cpu?.metadata.value).toBe(ofCpu(base)[0]?.spec?.metrics?.[0]?.resource?.target.averageValue);
  });
});
