import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { IDeployment } from "kubernetes-models/apps/v1";
import type { IConfigMap, ISecret, IService } from "kubernetes-models/v1";
import { Registry } from "prom-client";
import { expect, it } from "vitest";
import { ApiKeys } from "../../src/auth/api-keys.ts";
import { type Config, parseConfig } from "../../src/config/config.ts";
import { adminApp } from "../../src/http/admin-app.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { VARIABLES, type VariableName } from "../../src/variables.ts";
import { command } from "../support/compose.ts";
import { problemsOf } from "../support/kubernetes-schema.ts";
import {
  describeWithKustomize,
  kustomized,
  type Manifest,
  named,
  nodePod,
  type Pod,
  podOf,
  probesOf,
  workloads,
} from "../support/kustomize.ts";
import { stopsWithTest } from "../support/teardown.ts";

/** After the drain: the last answers, the closing of transports and the hand-over of the lease, in seconds. */
const SLACK_SECONDS = 10;
const MIB = 1024 * 1024;
const ROOT = join(import.meta.dirname, "../..");
const HAPROXY_CFG = readFileSync(join(ROOT, "deploy/haproxy/haproxy.cfg"), "utf8");
const DOCKERFILE = readFileSync(join(ROOT, "Dockerfile"), "utf8");
/** Read by Node itself. */
const OF_NODE = "NODE_OPTIONS";

/** The configuration that a node's process has in its container, by the local overlay's secrets, written to files. */
function configOf(pod: Pod, secret: ISecret): Config {
  const folder = mkdtempSync(join(tmpdir(), "roomcast-secrets-"));
  stopsWithTest(() => rmSync(folder, { recursive: true, force: true }));
  for (const [key, value] of Object.entries(secret.data ?? {})) {
    writeFileSync(join(folder, key), Buffer.from(value, "base64"));
  }
  const mountPath = pod.containers[0].volumeMounts?.find(({ name }) => name === "secrets")?.mountPath ?? "";
  const env: Record<string, string> = { NODE_ENV: /^ENV NODE_ENV=(\S+)$/m.exec(DOCKERFILE)?.[1] ?? "" };
  for (const { name, value, valueFrom } of pod.containers[0].env ?? []) {
    env[name] = valueFrom?.fieldRef?.fieldPath === "metadata.name" ? "roomcast-5d4-x7k" : (value ?? "");
    if (name.endsWith("_FILE")) env[name] = env[name].replace(`${mountPath}/`, `${folder}/`);
  }
  return parseConfig(env);
}

function bytes(quantity: unknown): number {
  const [, amount, unit] = /^(\d+)(Mi|Gi)$/.exec(String(quantity)) ?? [];
  return Number(amount) * (unit === "Gi" ? 1024 : 1) * MIB;
}

describeWithKustomize("k8s/ by the real kustomize (built and checked; no cluster ran it)", async () => {
  const [base = [], local = [], production = []] = await Promise.all(
    ["k8s/base", "k8s/local", "k8s/production"].map(kustomized),
  );
  const secret = () => named<ISecret>(local, "Secret", "roomcast");

  it("says nothing that the API's schemas do not know", async () => {
    for (const object of [...base, ...local, ...production]) {
      expect([object.kind, await problemsOf(object)]).toEqual([object.kind, []]);
    }
    const kinds = (objects: readonly Manifest[]) => objects.map(({ kind }) => kind);
    expect(kinds(base)).toEqual(expect.arrayContaining(["PodDisruptionBudget", "NetworkPolicy", "ServiceAccount"]));
    expect(kinds(production)).toEqual(
      expect.arrayContaining(["Gateway", "ScaledObject", "PodMonitor", "PrometheusRule"]),
    );
  });

  it("the check of schemas finds a wrong type, a missing field and a misspelt one, in every group", async () => {
    const broken = async (kind: string, change: (spec: Record<string, unknown>) => void) => {
      const copy = structuredClone(named<{ spec: Record<string, unknown> }>(production, kind, "roomcast"));
      change(copy.spec);
      return await problemsOf(copy as unknown as Manifest);
    };
    const cases: [kind: string, field: string, type: string, misspelt: string, required?: string][] = [
      ["Deployment", "replicas", "integer", "minReadySecond", "selector"],
      ["NetworkPolicy", "policyTypes", "array", "egres"],
      ["ScaledObject", "maxReplicaCount", "integer", "fallbacks", "triggers"],
      ["PodMonitor", "podMetricsEndpoints", "array", "joblabel", "selector"],
      ["PrometheusRule", "groups", "array", "rules"],
      ["Gateway", "listeners", "array", "adresses", "gatewayClassName"],
    ];
    for (const [kind, field, type, misspelt, required] of cases) {
      expect(await broken(kind, (spec) => Object.assign(spec, { [field]: "3" }))).toContain(
        `/spec/${field}: type {"type":"${type}"}`,
      );
      if (required) expect(await broken(kind, (spec) => delete spec[required])).not.toEqual([]);
      expect(await broken(kind, (spec) => Object.assign(spec, { [misspelt]: 10 }))).toEqual([
        `/spec/${misspelt}: unknown`,
      ]);
    }
  });

  it("the base has no secret, and every file that a variable names is a key of the local one", () => {
    expect(base.map(({ kind }) => kind)).not.toContain("Secret");
    for (const objects of [base, local]) {
      for (const { name } of nodePod(objects).containers[0].env ?? []) {
        const plain = name.replace(/_FILE$/, "") as VariableName;
        if (name === OF_NODE) continue;
        expect(Object.keys(VARIABLES)).toContain(plain);
        if (plain !== name) expect(VARIABLES[plain].secret).toBe(true);
      }
    }
    expect(configOf(nodePod(base), secret())).toMatchObject({
      production: true,
      nodeName: "roomcast-5d4-x7k",
      demo: { kind: "off" },
      api: { kind: "public-port" },
      warnings: [],
    });
    const tried = configOf(nodePod(local), secret());
    expect(tried).toMatchObject({ demo: { kind: "on", tokens: "everybody" } });
    const valkey = named<IService>(local, "Service", "roomcast-valkey");
    const url = tried.redis.kind === "server" ? new URL(tried.redis.url) : undefined;
    expect(url?.host).toBe(`${valkey.metadata?.name}:${valkey.spec?.ports?.[0]?.port}`);
    const own = named<ISecret>(local, "Secret", "roomcast-valkey").data ?? {};
    const text = (key: string) => Buffer.from(own[key] ?? "", "base64").toString();
    expect([text("password"), text("valkey.conf")]).toEqual([url?.password, `requirepass ${url?.password}`]);
  });

  it("probes ask what the admin port answers; an outage of Redis takes a node out and restarts it never", async () => {
    const container = nodePod(base).containers[0];
    const { port, adminPort } = configOf(nodePod(base), secret());
    expect(container.ports).toEqual([
      { name: "http", containerPort: port },
      { name: "admin", containerPort: adminPort },
    ]);
    const server = createServer(
      adminApp({
        apiKeys: new ApiKeys([]),
        beginDrain: () => undefined,
        readiness: () => ({ ready: false, reason: "Redis is away" }),
        registry: new Registry(),
        log: createLogger("silent", "test"),
      }),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    stopsWithTest(() => void server.close());
    const statuses: (number | undefined)[] = [];
    for (const { httpGet } of probesOf(container)) {
      expect(httpGet?.port).toBe("admin");
      const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${httpGet?.path}`);
      statuses.push(response.status);
    }
    expect(statuses).toEqual([200, 200, 503]);
  });

  it("a pod has the time that its drain takes, and one more comes before one goes", () => {
    const { spec } = named<IDeployment>(base, "Deployment", "roomcast");
    const pod = nodePod(base);
    const preStop = pod.containers[0].lifecycle?.preStop?.sleep?.seconds ?? 0;
    expect(preStop).toBeGreaterThan(0);
    const { drainSeconds } = configOf(pod, secret());
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(preStop + drainSeconds + SLACK_SECONDS);
    expect(spec?.strategy?.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 });
  });

  it("heap and what slow connections are owed stay within the memory limit", () => {
    for (const objects of [base, local]) {
      const container = nodePod(objects).containers[0];
      const limit = bytes(container.resources?.limits?.memory);
      const options = container.env?.find(({ name }) => name === OF_NODE)?.value ?? "";
      const heap = Number(/--max-old-space-size=(\d+)/.exec(options)?.[1]) * MIB;
      expect(heap / limit).toBeCloseTo(0.75, 1);
      const owed = configOf(nodePod(objects), secret()).limits.maxOutboundBytesPerNode;
      expect(heap + owed).toBeLessThanOrEqual(limit * 0.9);
    }
  });

  it("every pod keeps to the restricted profile, without a token, with a memory limit and no CPU limit", () => {
    for (const workload of [...workloads(local), ...workloads(production)]) {
      const pod = podOf(workload);
      expect(pod.automountServiceAccountToken).toBe(false);
      expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
      expect(pod.securityContext?.runAsUser).toBeGreaterThan(0);
      const { securityContext, resources } = pod.containers[0];
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      expect(Object.keys(resources?.limits ?? {})).toEqual(["memory"]);
    }
    expect(nodePod(base).securityContext?.runAsUser).toBe(1000);
    expect(base.map(({ kind }) => kind).filter((kind) => /Role|Binding/.test(kind))).toEqual([]);
  });

  it("HAProxy reads the repository's own file, and finds every node by it", async () => {
    const map = named<IConfigMap>(base, "ConfigMap", "roomcast-haproxy");
    expect(map.data).toEqual({ "haproxy.cfg": HAPROXY_CFG });
    const container = podOf(named<IDeployment>(base, "Deployment", "roomcast-haproxy")).containers[0];
    const folder = container.volumeMounts?.find(({ name }) => name === "config")?.mountPath;
    expect(container.args?.at(-1)).toBe(`${folder}/haproxy.cfg`);
    for (const { containerPort } of container.ports ?? []) expect(HAPROXY_CFG).toContain(`bind :${containerPort}\n`);
    const { port, adminPort } = configOf(nodePod(base), secret());
    expect(HAPROXY_CFG).toContain(`check port ${adminPort} `);
    const [, places, nodePort] = /server-template node (\d+) "\$\{NODE_HOST\}:(\d+)"/.exec(HAPROXY_CFG) ?? [];
    expect(Number(nodePort)).toBe(port);
    expect(Number(places)).toBeGreaterThan(0);
    const headless = named<IService>(base, "Service", "roomcast-nodes");
    expect(headless.spec).toMatchObject({ clusterIP: "None", publishNotReadyAddresses: true });
    // $(NAMESPACE) stands for what was set above it only.
    expect(container.env).toEqual([
      { name: "NAMESPACE", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } },
      { name: "NODE_HOST", value: `${headless.metadata?.name}.$(NAMESPACE).svc.cluster.local` },
    ]);
  });

  it("HAProxy's command takes the DNS server's address from the pod's resolv.conf", async () => {
    const container = podOf(named<IDeployment>(base, "Deployment", "roomcast-haproxy")).containers[0];
    const folder = mkdtempSync(join(tmpdir(), "roomcast-resolv-"));
    stopsWithTest(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, "resolv.conf");
    const [shell = "", ...rest] = (container.command ?? []).map((text) => text.replace("/etc/resolv.conf", file));
    for (const address of ["10.96.0.10", "fd00:10:96::a"]) {
      writeFileSync(
        file,
        `search ns.svc.cluster.local\nnameserver ${address}\nnameserver 192.0.2.1\noptions ndots:5\n`,
      );
      expect(await command(shell, [...rest, "printenv", "RESOLVER"])).toBe(`${address}:53\n`);
    }
  });
});
