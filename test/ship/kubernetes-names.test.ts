import type { INetworkPolicy } from "kubernetes-models/networking.k8s.io/v1";
import type { IPodDisruptionBudget } from "kubernetes-models/policy/v1";
import type { IConfigMap, ISecret, IService } from "kubernetes-models/v1";
import { expect, it } from "vitest";
import {
  all,
  describeWithKustomize,
  kustomized,
  named,
  nodePod,
  podOf,
  portsOf,
  probesOf,
  selectedBy,
  workloads,
} from "../support/kustomize.ts";

/** What production brings itself (k8s/README.md). */
const BROUGHT = ["Secret roomcast", "Secret roomcast-tls"];
const NODE = { "app.kubernetes.io/name": "roomcast", "app.kubernetes.io/component": "node" };
const HAPROXY = { ...NODE, "app.kubernetes.io/component": "haproxy" };
const VALKEY = { ...NODE, "app.kubernetes.io/component": "valkey" };

type Labels = Readonly<Record<string, string>>;
interface Selector {
  readonly matchLabels?: Labels | undefined;
  readonly matchExpressions?:
    | readonly { key: string; operator: string; values?: readonly string[] | undefined }[]
    | undefined;
}

function selects({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Labels): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => operator === "In" && values.includes(labels[key] ?? ""))
  );
}

/** Whether pods with these labels take connections on a port from a pod of the same namespace, or of another one. */
function lets(
  policies: readonly INetworkPolicy[],
  to: Labels,
  port: string,
  from: { pod: Labels } | { namespace: string },
): boolean {
  const concerned = policies.filter(({ spec }) => spec && selects(spec.podSelector ?? {}, to));
  const ofIngress = concerned.filter(({ spec }) => spec?.policyTypes?.includes("Ingress"));
  if (ofIngress.length === 0) return true;
  return ofIngress.some(({ spec }) =>
    (spec?.ingress ?? []).some(({ from: peers, ports }) => {
      if (ports && !ports.some((each) => each.port === port)) return false;
      if (peers === undefined) return true;
      return peers.some(({ podSelector, namespaceSelector }) =>
        "pod" in from
          ? podSelector !== undefined && namespaceSelector === undefined && selects(podSelector, from.pod)
          : namespaceSelector !== undefined &&
            selects(namespaceSelector, { "kubernetes.io/metadata.name": from.namespace }),
      );
    }),
  );
}

describeWithKustomize("names in k8s/ by the real kustomize", async () => {
  const [local = [], production = []] = await Promise.all(["k8s/local", "k8s/production"].map(kustomized));
  const OVERLAYS = { local, production };
  const policies = (objects: typeof local) => all<INetworkPolicy>(objects, "NetworkPolicy");

  for (const [overlay, objects] of Object.entries(OVERLAYS)) {
    it(`selectors, ports and names lead to what is there (${overlay})`, () => {
      for (const workload of workloads(objects)) {
        const { selector, template } = workload.spec ?? {};
        expect(selector?.matchLabels).toEqual(template?.metadata?.labels);
        // Nobody else's pods.
        expect(selectedBy(objects, selector?.matchLabels)).toEqual([workload]);
        for (const { httpGet } of probesOf(podOf(workload).containers[0])) {
          if (httpGet) expect(portsOf(workload)).toContain(httpGet.port);
        }
      }
      for (const { metadata, spec } of all<IService>(objects, "Service")) {
        const [target, ...others] = selectedBy(objects, spec?.selector);
        expect([metadata?.name, target !== undefined, others]).toEqual([metadata?.name, true, []]);
        for (const { targetPort } of spec?.ports ?? []) expect(target && portsOf(target)).toContain(targetPort);
      }
      const names = [...objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`), ...BROUGHT];
      for (const workload of workloads(objects)) {
        for (const { secret: files, configMap } of podOf(workload).volumes ?? []) {
          expect(names).toContain(files ? `Secret ${files.secretName}` : `ConfigMap ${configMap?.name}`);
        }
        for (const { valueFrom } of podOf(workload).containers[0].env ?? []) {
          const ref = valueFrom?.secretKeyRef;
          if (ref) expect(named<ISecret>(objects, "Secret", ref.name ?? "").data).toHaveProperty(ref.key);
        }
        const { serviceAccountName } = podOf(workload);
        if (serviceAccountName) expect(names).toContain(`ServiceAccount ${serviceAccountName}`);
      }
      const [namespace] = all<{ metadata: { name: string } }>(objects, "Namespace");
      for (const { kind, metadata } of objects) {
        if (kind !== "Namespace") expect([kind, metadata.namespace]).toEqual([kind, namespace?.metadata.name]);
      }
    });

    it(`one node at a time is taken away, and they are spread over machines and zones (${overlay})`, () => {
      const budget = named<IPodDisruptionBudget>(objects, "PodDisruptionBudget", "roomcast").spec;
      expect(budget).toEqual({
        maxUnavailable: 1,
        unhealthyPodEvictionPolicy: "AlwaysAllow",
        selector: { matchLabels: NODE },
      });
      const spread = nodePod(objects).topologySpreadConstraints ?? [];
      expect(spread.map(({ topologyKey }) => topologyKey)).toEqual([
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
      ]);
      for (const { labelSelector } of spread) expect(labelSelector?.matchLabels).toEqual(NODE);
    });

    it(`network policies let in who must come in, and nobody else (${overlay})`, () => {
      const own = policies(objects);
      for (const { spec } of own) {
        expect(
          workloads(objects).some(({ spec: other }) =>
            selects(spec?.podSelector ?? {}, other?.template.metadata?.labels ?? {}),
          ),
        ).toBe(true);
      }
      const stranger = { pod: { app: "stranger" } };
      for (const port of ["http", "admin"]) {
        expect(lets(own, NODE, port, { pod: HAPROXY })).toBe(true);
        expect(lets(own, NODE, port, stranger)).toBe(false);
        expect(lets(own, NODE, port, { namespace: "default" })).toBe(false);
      }
      expect(lets(own, HAPROXY, "http", stranger)).toBe(true);
      expect(lets(own, HAPROXY, "http", { namespace: "ingress" })).toBe(true);
      expect(lets(own, HAPROXY, "stats", stranger)).toBe(false);
      // Every port that a policy names is one of the pods that it is about.
      for (const { spec } of own) {
        const ports = workloads(objects)
          .filter(({ spec: other }) => selects(spec?.podSelector ?? {}, other?.template.metadata?.labels ?? {}))
          .flatMap(portsOf);
        for (const { port } of (spec?.ingress ?? []).flatMap(({ ports: named = [] }) => named))
          expect(ports).toContain(port);
      }
    });
  }

  it("the trying Valkey answers nodes only, and Prometheus scrapes nodes and HAProxy where it is there", () => {
    expect(lets(policies(local), VALKEY, "redis", { pod: NODE })).toBe(true);
    expect(lets(policies(local), VALKEY, "redis", { pod: HAPROXY })).toBe(false);
    expect(lets(policies(production), NODE, "admin", { namespace: "monitoring" })).toBe(true);
    expect(lets(policies(production), HAPROXY, "stats", { namespace: "monitoring" })).toBe(true);
    expect(lets(policies(production), NODE, "http", { namespace: "monitoring" })).toBe(false);
    expect(lets(policies(local), NODE, "admin", { namespace: "monitoring" })).toBe(false);
  });

  it("nodes do not reach what a cloud says to its machines", () => {
    const { spec } = named<INetworkPolicy>(production, "NetworkPolicy", "roomcast");
    const blocks = (spec?.egress ?? []).flatMap(({ to = [] }) => to.flatMap(({ ipBlock }) => ipBlock ?? []));
    expect(blocks.map(({ cidr }) => cidr)).toEqual(["0.0.0.0/0", "::/0"]);
    expect(blocks.flatMap(({ except = [] }) => except)).toContain("169.254.0.0/16");
  });

  it("TLS leads to HAProxy, and plain HTTP only to TLS", () => {
    interface Route {
      spec: {
        parentRefs: [{ name: string; sectionName: string }];
        rules: {
          backendRefs?: { name: string; port: number }[];
          filters?: { requestRedirect?: { scheme: string } }[];
        }[];
      };
    }
    interface Gateway {
      spec: {
        listeners: { name: string; protocol: string; tls?: { mode: string; certificateRefs: { name: string }[] } }[];
      };
    }
    const { listeners } = named<Gateway>(production, "Gateway", "roomcast").spec;
    const service = named<IService>(production, "Service", "roomcast");
    for (const { spec } of all<Route>(production, "HTTPRoute")) {
      const listener = listeners.find(({ name }) => name === spec.parentRefs[0].sectionName);
      const [rule] = spec.rules;
      if (listener?.protocol === "HTTPS") {
        expect(listener.tls).toMatchObject({ mode: "Terminate", certificateRefs: [{ name: "roomcast-tls" }] });
        expect(rule?.backendRefs).toEqual([{ name: service.metadata?.name, port: service.spec?.ports?.[0]?.port }]);
        expect(selectedBy(production, service.spec?.selector).map(({ metadata }) => metadata?.name)).toEqual([
          "roomcast-haproxy",
        ]);
      } else {
        expect(listener?.protocol).toBe("HTTP");
        expect(rule?.backendRefs).toBeUndefined();
        expect(rule?.filters?.[0]?.requestRedirect?.scheme).toBe("https");
      }
    }
    expect(all(production, "HTTPRoute")).toHaveLength(2);
    expect(all<IConfigMap>(production, "Secret")).toEqual([]);
  });
});
