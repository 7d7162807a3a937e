import { join } from "node:path";
import type { Manifest } from "./kustomize.ts";

/** The generated checks of one kind: they look at every field that the API's schema knows, and at no other. */
interface Schema {
  readonly validate: {
    (data: unknown): boolean;
    errors?: readonly { readonly instancePath: string; readonly keyword: string; readonly params: unknown }[] | null;
  };
}

const NODE_MODULES = join(import.meta.dirname, "../../node_modules");
/** Where the schemas of a group are, of those that are not Kubernetes' own. */
const CUSTOM: Readonly<Record<string, { readonly of: string; readonly names: string }>> = {
  "monitoring.coreos.com": {
    of: "@kubernetes-models/prometheus-operator",
    names: "ComGithubPrometheusOperatorPrometheusOperatorPkgApisMonitoring",
  },
  "keda.sh": { of: "@kubernetes-models/keda", names: "ComGithubKedacoreKedaV2ApisKeda" },
  "gateway.networking.k8s.io": { of: "@kubernetes-models/gateway-api", names: "IoK8sSigsGatewayApiApis" },
};

const upper = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

async function schemaOf({ apiVersion, kind }: Manifest): Promise<Schema> {
  const [version = "", group = "core"] = apiVersion.split("/").reverse();
  const own = { of: "kubernetes-models", names: `IoK8sApi${upper(group.replace(/\.k8s\.io$/, ""))}` };
  const { of, names } = CUSTOM[group] ?? own;
  // By its path: not all of these packages export their schemas.
  return await import(join(NODE_MODULES, of, "_schemas", `${names}${upper(version)}${kind}.js`));
}

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
export async function problemsOf(object: Manifest): Promise<string[]> {
  const { validate } = await schemaOf(object);
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
