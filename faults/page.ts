import { readFile, writeFile } from "node:fs/promises";
import { tableMarkdown } from "./report.ts";
import type { Result } from "./results.ts";
import type { Target } from "./run.ts";
import { SCENARIOS } from "./scenarios.ts";

const START = "<!-- faults:start -->";
const END = "<!-- faults:end -->";
const TITLES: Readonly<Record<Target, string>> = {
  roomcast: "Roomcast",
  stock: "Socket.IO with the stock sharded adapter",
};

/** Writes the tables of these results into a page, between its marks. */
export async function writePage(file: string, results: readonly Result[]): Promise<void> {
  const text = await readFile(file, "utf8");
  const from = text.indexOf(START);
  const to = text.indexOf(END, from);
  if (from === -1 || to === -1) throw new Error(`${file} has no ${START} … ${END}`);
  await writeFile(file, `${text.slice(0, from + START.length)}\n${tables(results)}\n${text.slice(to)}`);
}

/** Both targets' tables, with the machine and the versions that they come from. */
export function tables(results: readonly Result[]): string {
  const order = Object.keys(SCENARIOS);
  const sorted = [...results].sort(
    (one, other) => order.indexOf(one.scenario) - order.indexOf(other.scenario) || one.seed - other.seed,
  );
  const skipped = Object.entries(SCENARIOS).flatMap(([scenario, { notForStock }]) =>
    notForStock === undefined ? [] : [{ scenario, why: notForStock }],
  );
  const parts = (["roomcast", "stock"] as const).flatMap((target) => {
    const rows = sorted.filter((result) => result.target === target);
    if (rows.length === 0) return [];
    return [`### ${TITLES[target]}`, tableMarkdown(rows, target === "stock" ? skipped : [])];
  });
  const list = (of: (result: Result) => string) => [...new Set(sorted.map(of))].sort().join("; ");
  const size = list(({ seconds, clients }) => `${clients} clients, ${seconds} s of load and faults each`);
  return [
    `${list(({ date }) => date)}. ${list(({ machine }) => machine)}. ${list(({ versions }) => versions)}. ${size}.`,
    ...parts,
  ].join("\n\n");
}
