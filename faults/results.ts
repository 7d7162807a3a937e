import { appendFile, readFile } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import type { Target } from "./run.ts";
import type { Verdict } from "./verdict.ts";

/** One run, as it is kept in a file of results: a JSON line each. */
export interface Result {
  readonly target: Target;
  readonly scenario: string;
  readonly seed: number;
  readonly seconds: number;
  readonly clients: number;
  readonly verdict: Omit<Verdict, "violations"> & { readonly violations: number };
  readonly machine: string;
  readonly versions: string;
  /** `2026-11-24`. */
  readonly date: string;
}

const GIB = 1024 ** 3;

export function machine(): string {
  const [cpu] = cpus();
  return `${cpus().length} cores (${cpu?.model.trim() ?? "unknown"}), ${Math.round(totalmem() / GIB)} GiB`;
}

export async function addResult(file: string, result: Result): Promise<void> {
  await appendFile(file, `${JSON.stringify(result)}\n`);
}

/** All results of a file, the newest of each target, scenario and seed. */
export async function readResults(file: string): Promise<Result[]> {
  const newest = new Map<string, Result>();
  for (const line of (await readFile(file, "utf8")).split("\n").filter(Boolean)) {
    const result = JSON.parse(line) as Result;
    newest.set(`${result.target} ${result.scenario} ${result.seed}`, result);
  }
  return [...newest.values()];
}
