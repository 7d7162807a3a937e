import type { IDeployment, IStatefulSet } from "kubernetes-models/apps/v1";
import type { IContainer, IPodSpec, IProbe } from "kubernetes-models/v1";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { onPath } from "../../src/local/run-command.ts";
import { command } from "./compose.ts";

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}
export type Workload = IDeployment | IStatefulSet;
/** Each of our pods has one container. */
export type Pod = IPodSpec & { containers: [IContainer] };

const kustomize = (await onPath("kubectl")) ? ["kubectl", "kustomize"] : ["kustomize", "build"];
const missing = (await onPath(kustomize[0] ?? "")) === undefined ? "neither kubectl nor kustomize is here" : undefined;

/** `describe` on the output of the real kustomize: skipped, with the reason in the title, where there is none; with CI=true that fails. */
export function describeWithKustomize(title: string, tests: () => void): void {
  if (missing === undefined) describe(title, tests);
  else if (process.env.CI === "true") it(`${title}: has kustomize`, () => expect(missing).toBeUndefined());
  else describe.skip(`${title} (skipped: ${missing})`, tests);
}

/** All objects of a folder by the real kustomize; none where it is missing. */
export async function kustomized(folder: string): Promise<Manifest[]> {
  if (missing !== undefined) return [];
  const [program = "", ...args] = kustomize;
  return parseAllDocuments(await command(program, [...args, folder])).map((document) => document.toJS() as Manifest);
}

/** The object of this name, or of the name with a hash behind it. */
export function named<Kind>(objects: readonly Manifest[], kind: string, name: string): Kind {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name.startsWith(name));
  const exact = found.find(({ metadata }) => metadata.name === name) ?? found[0];
  if (exact === undefined) throw new Error(`there is no ${kind} ${name}`);
  return exact as unknown as Kind;
}

export function all<Kind>(objects: readonly Manifest[], kind: string): Kind[] {
  return objects.filter((object) => object.kind === kind) as unknown as Kind[];
}

export function workloads(objects: readonly Manifest[]): Workload[] {
  return [...all<Workload>(objects, "Deployment"), ...all<Workload>(objects, "StatefulSet")];
}

export function podOf(workload: Workload): Pod {
  const pod = workload.spec?.template.spec;
  expect(pod?.containers).toHaveLength(1);
  return pod as Pod;
}

export const nodePod = (objects: readonly Manifest[]): Pod =>
  podOf(named<IDeployment>(objects, "Deployment", "roomcast"));

export function probesOf({ startupProbe, livenessProbe, readinessProbe }: IContainer): IProbe[] {
  return [startupProbe, livenessProbe, readinessProbe].filter((probe) => probe !== undefined);
}

/** The workloads whose pods have all of these labels. */
export function selectedBy(objects: readonly Manifest[], labels: Readonly<Record<string, string>> = {}): Workload[] {
  return workloads(objects).filter(({ spec }) => {
    const own = spec?.template.metadata?.labels ?? {};
    return Object.entries(labels).every(([key, value]) => own[key] === value);
  });
}

/** The names of a workload's ports. */
export function portsOf(workload: Workload): string[] {
  return (podOf(workload).containers[0].ports ?? []).map(({ name }) => name ?? "");
}
