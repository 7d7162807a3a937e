import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { IDeployment, IStatefulSet } from "kubernetes-models/apps/v1";
import type { IPodDisruptionBudget } from "kubernetes-models/policy/v1";
import type { IConfigMap, IContainer, IPodSpec, IProbe, ISecret, IService } from "kubernetes-models/v1";
import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { ApiKeys } from "../../src/auth/api-keys.ts";
import { type Config, parseConfig } from "../../src/config/config.ts";
import { adminApp } from "../../src/http/admin-app.ts";
import { onPath } from "../../src/local/run-command.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { VARIABLES, type VariableName } from "../../src/variables.ts";
import { command } from "../support/compose.ts";
import { stopsWithTest } from "../support/teardown.ts";

/** After the drain: the last answers, the closing of transports and the hand-over of the lease, in seconds. */
const SLACK_SECONDS = 10;
const MIB = 1024 * 1024;
const HAPROXY_CFG = readFileSync(join(import.meta.dirname, "../../deploy/haproxy/haproxy.cfg"), "utf8");
const DOCKERFILE = readFileSync(join(import.meta.dirname, "../../Dockerfile"), "utf8");
/** Read by Node itself. */
const OF_NODE = "NODE_OPTIONS";

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
}
type Workload = IDeployment | IStatefulSet;

/** The generated checks of one kind: they look at every field that the API's schema knows, and at no other. */
interface Schema {
  readonly validate: {
    (data: unknown): boolean;
    errors?: readonly { readonly instancePath: string; readonly keyword: string; readonly params: unknown }[] | null;
  };
}

const kustomize = (await onPath("kubectl")) ? ["kubectl", "kustomize"] : ["kustomize", "build"];
const missing = (await onPath(kustomize[0] ?? "")) === undefined ? "neither kubectl nor kustomize is here" : undefined;

/** `describe` on the output of the real kustomize: skipped, with the reason in the title, where there is none; with CI=true that fails. */
function describeWithKustomize(title: string, tests: () => void): void {
  if (missing === undefined) describe(title, tests);
  else if (process.env.CI === "true") it(`${title}: has kustomize`, () => expect(missing).toBeUndefined());
  else describe.skip(`${title} (skipped: ${missing})`, tests);
}

async function build(folder: string): Promise<Manifest[]> {
  const [program = "", ...args] = kustomize;
  return parseAllDocuments(await command(program, [...args, folder])).map((document) => document.toJS() as Manifest);
}

function named<Kind>(objects: readonly Manifest[], kind: string, name: string): Kind {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name.startsWith(name));
  const exact = found.find(({ metadata }) => metadata.name === name) ?? found[0];
  if (exact === undefined) throw new Error(`there is no ${kind} ${name}`);
  return exact as unknown as Kind;
}

function workloads(objects: readonly Manifest[]): Workload[] {
  return objects.filter(({ kind }) => kind === "Deployment" || kind === "StatefulSet") as unknown as Workload[];
}

function podOf(workload: Workload): IPodSpec & { containers: [IContainer] } {
  const pod = workload.spec?.template.spec;
  expect(pod?.containers).toHaveLength(1);
  return pod as IPodSpec & { containers: [IContainer] };
}

function probesOf({ startupProbe, livenessProbe, readinessProbe }: IContainer): IProbe[] {
  return [startupProbe, livenessProbe, readinessProbe].filter((probe) => probe !== undefined);
}

const nodePod = (objects: readonly Manifest[]) => podOf(named<IDeployment>(objects, "Deployment", "roomcast"));

/** Notes the path of every field that is looked at. */
function watched(value: unknown, path: string, seen: Set<string>): unknown {
  seen.add(path);
  if (typeof value !== "object" || value === null) return value;
  return new Proxy(value, {
    get: (target, key) =>
      typeof key === "symbol" ? Reflect.get(target, key) : watched(Reflect.get(target, key), `${path}/${key}`, seen),
  });
}

function paths(value: unknown, path: string): string[] {
  if (typeof value !== "object" || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, child]) => paths(child, `${path}/${key}`))];
}

/** What the API server would refuse or drop: wrong types, missing fields, unknown fields. */
async function problemsOf(object: Manifest): Promise<string[]> {
  const [version = "", group = "Core"] = object.apiVersion.split("/").reverse();
  const upper = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
  const file = `IoK8sApi${upper(group)}${upper(version)}${object.kind}`;
  const { validate }: Schema = await import(`kubernetes-models/_schemas/${file}`);
  const seen = new Set<string>();
  if (!validate(watched(object, "", seen))) {
    return (validate.errors ?? []).map(
      (error) => `${error.instancePath}: ${error.keyword} ${JSON.stringify(error.params)}`,
    );
  }
  return paths(object, "")
    .filter((path) => !seen.has(path))
    .map((path) => `${path}: unknown`);
}

/** The configuration that a node's process has in its container, by the local overlay's secrets, written to files. */
function configOf(pod: IPodSpec & { containers: [IContainer] }, secret: ISecret): Config {
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
  const overlays = missing === undefined ? await Promise.all(["k8s/base", "k8s/local"].map(build)) : [];
  const [base = [], local = []] = overlays;
  const secret = () => named<ISecret>(local, "Secret", "roomcast");

  it("says nothing that the API's schemas do not know", async () => {
    for (const object of [...base, ...local])
      expect([object.kind, await problemsOf(object)]).toEqual([object.kind, []]);
    expect(base.map(({ kind }) => kind)).toContain("PodDisruptionBudget");
  });

  it("the check of schemas finds a wrong type, a missing field and a misspelt one", async () => {
    const broken = async (change: (spec: Record<string, unknown>) => void) => {
      const copy = structuredClone(named<{ spec: Record<string, unknown> }>(base, "Deployment", "roomcast"));
      change(copy.spec);
      return await problemsOf(copy as unknown as Manifest);
    };
    expect(await broken((spec) => Object.assign(spec, { replicas: "3" }))).toEqual([
      '/spec/replicas: type {"type":"integer"}',
    ]);
    expect(await broken((spec) => delete spec.selector)).toHaveLength(1);
    expect(await broken((spec) => Object.assign(spec, { minReadySecond: 10 }))).toEqual([
      "/spec/minReadySecond: unknown",
    ]);
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
    for (const workload of workloads(local)) {
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

  it("selectors, ports and names lead to what is there", () => {
    const labels = workloads(local).map(({ spec }) => JSON.stringify(sorted(spec?.template.metadata?.labels)));
    expect(new Set(labels).size).toBe(3);
    for (const { spec } of workloads(local)) {
      expect(spec?.selector.matchLabels).toEqual(spec?.template.metadata?.labels);
      for (const probe of probesOf(podOf({ spec } as Workload).containers[0])) {
        const ports = podOf({ spec } as Workload).containers[0].ports?.map(({ name }) => name);
        if (probe.httpGet) expect(ports).toContain(probe.httpGet.port);
      }
    }
    for (const service of local.filter(({ kind }) => kind === "Service") as unknown as IService[]) {
      const at = labels.indexOf(JSON.stringify(sorted(service.spec?.selector)));
      const target = workloads(local)[at];
      if (target === undefined) throw new Error(`${service.metadata?.name} selects nothing`);
      const ports = podOf(target).containers[0].ports?.map(({ name }) => name);
      for (const { targetPort } of service.spec?.ports ?? []) expect(ports).toContain(targetPort);
    }
    const own = named<IDeployment>(base, "Deployment", "roomcast").spec?.template.metadata?.labels;
    const budget = named<IPodDisruptionBudget>(base, "PodDisruptionBudget", "roomcast").spec;
    expect(budget).toEqual({
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: "AlwaysAllow",
      selector: { matchLabels: own },
    });
    const spread = nodePod(base).topologySpreadConstraints ?? [];
    expect(spread.map(({ topologyKey }) => topologyKey)).toEqual([
      "kubernetes.io/hostname",
      "topology.kubernetes.io/zone",
    ]);
    for (const { labelSelector } of spread) expect(labelSelector?.matchLabels).toEqual(own);
    const names = local.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    for (const workload of workloads(local)) {
      for (const { secret: files, configMap } of podOf(workload).volumes ?? []) {
        expect(names).toContain(files ? `Secret ${files.secretName}` : `ConfigMap ${configMap?.name}`);
      }
      for (const { valueFrom } of podOf(workload).containers[0].env ?? []) {
        const ref = valueFrom?.secretKeyRef;
        if (ref) expect(named<ISecret>(local, "Secret", ref.name ?? "").data).toHaveProperty(ref.key);
      }
    }
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
    expect(Number(places)).toBeGreaterThan(named<IDeployment>(base, "Deployment", "roomcast").spec?.replicas ?? 0);
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

function sorted(labels: Record<string, string> = {}): [string, string][] {
  return Object.entries(labels).sort(([a], [b]) => a.localeCompare(b));
}
