import type { TestCluster } from "./cluster.ts";

/** One number of a node's `/metrics`, of its first series; NaN where there is none. */
export async function metric({ adminUrls }: TestCluster, name: string, node = 0): Promise<number> {
  const text = await (await fetch(`${adminUrls[node]}/metrics`)).text();
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "m").exec(text)?.[1] ?? Number.NaN);
}
