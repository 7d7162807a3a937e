import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithRedis } from "../support/redis.ts";

const WITHIN = { withinMs: 40_000 };
const DEAF = `--import ${pathToFileURL(join(import.meta.dirname, "../support/deaf-canary.ts")).href}`;
const SERIES = /^roomcast_canary_(expected|delivered)_total\{from="([^"]+)"\} (\d+)$/gm;

async function scrape({ adminUrls }: TestCluster, node: number): Promise<string> {
  return await (await fetch(`${adminUrls[node]}/metrics`)).text();
}

/** By sender, what a node was to hear and what it heard. */
function pairsIn(text: string): Record<string, { expected: number; delivered: number }> {
  const pairs: Record<string, { expected: number; delivered: number }> = {};
  for (const [, kind = "", from = "", value] of text.matchAll(SERIES)) {
    pairs[from] = { ...{ expected: 0, delivered: 0 }, ...pairs[from], [kind]: Number(value) };
  }
  return pairs;
}

describeWithRedis("canaries", () => {
  it.concurrent("measure delivery between every two nodes, and count as nobody's rooms, members, messages or emits", async () => {
    const cluster = await startCluster({ nodes: 3, env: { CANARY_INTERVAL_MS: "100" } });
    for (const node of [0, 1, 2]) {
      await eventually(async () => {
        const text = await scrape(cluster, node);
        const pairs = pairsIn(text);
        expect(Object.keys(pairs).sort()).toEqual(["node-1", "node-2", "node-3"]);
        for (const { expected, delivered } of Object.values(pairs)) {
          expect(expected).toBeGreaterThan(20);
          expect(delivered).toBe(expected);
        }
        for (const line of [
          "rooms 0",
          "members 0",
          "feeds 0",
          "messages_accepted_total 0",
          "messages_delivered_total 0",
        ]) {
          expect(text).toContain(`roomcast_${line}\n`);
        }
        expect(text).not.toMatch(/"_canary"/);
        expect(text).not.toContain("roomcast_emits_total{");
      }, WITHIN);
    }
  });

  it.concurrent("show a node that does not hear, and make it unready where that was asked for", async () => {
    const cluster = await startCluster({
      nodes: 2,
      env: { CANARY_INTERVAL_MS: "100" },
      envOf: (node): Record<string, string> => (node === 1 ? { NODE_OPTIONS: DEAF, CANARY_READINESS: "on" } : {}),
    });
    const ready = async (node: number) => await (await fetch(`${cluster.adminUrls[node]}/readyz`)).json();
    await eventually(async () => {
      expect(await ready(1)).toEqual({ ready: false, reason: "most canary messages do not reach this node in time" });
    }, WITHIN);
    const heard = pairsIn(await scrape(cluster, 1));
    for (const from of ["node-1", "node-2"]) {
      expect(heard[from]?.expected).toBeGreaterThan(20);
      expect(heard[from]?.delivered).toBe(0);
    }
    expect(await ready(0)).toMatchObject({ ready: true });
    for (const { expected, delivered } of Object.values(pairsIn(await scrape(cluster, 0))))
      expect(delivered).toBe(expected);
  });
});
