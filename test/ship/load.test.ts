import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { freePort } from "../../src/local/ports.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { INSTALL_AND_RUN_MS, type LoadRun, runLoad } from "../support/load.ts";
import { metric } from "../support/metric.ts";
import { prometheus } from "../support/prometheus.ts";
import { startPrometheus } from "../support/prometheus-process.ts";
import { describeWithPrometheus } from "../support/promtool.ts";
import { describeWithRedis } from "../support/redis.ts";
import { startSticky } from "../support/sticky.ts";
import { JWT_SECRET } from "../support/token.ts";

const ROOT = join(import.meta.dirname, "../..");
const PAGE = readFileSync(join(ROOT, "docs/load-testing.md"), "utf8");
const FAULTS = {
  messages: pathToFileURL(join(ROOT, "test/support/drop-messages.ts")).href,
  presence: pathToFileURL(join(ROOT, "test/support/misname-members.ts")).href,
};

const TEN_SECONDS = { duration: 10, rate: 4, stay: 5, "room-size": 6, "send-every": 200 };
const SHORT = {
  chat: TEN_SECONDS,
  "presence-storm": { members: 24, duration: 6, "room-size": 8, "visit-ms": 300 },
  broadcast: { members: 22, listeners: 10, duration: 5, "send-every": 50 },
  "reconnect-storm": { members: 24, "room-size": 6, storms: 2, every: 4, "send-every": 300 },
  soak: { duration: 12, rate: 4, stay: 4, "room-size": 6, "send-every": 200 },
};
const RIGHT = {
  "load.missing": 0,
  "load.doubled": 0,
  "load.out_of_order": 0,
  "load.wrong_views": 0,
  "vusers.failed": 0,
};

/** Three nodes behind the balancer, without limits of rates. */
async function startTarget(): Promise<{ cluster: TestCluster; target: string }> {
  const cluster = await startCluster({ env: { RATE_LIMITS: "off" } });
  return { cluster, target: (await startSticky(cluster)).url };
}

/** One node that does what it must not. */
async function startFaulty(fault: keyof typeof FAULTS): Promise<string> {
  const env = { RATE_LIMITS: "off", NODE_OPTIONS: `--import=${FAULTS[fault]}` };
  const { urls } = await startCluster({ nodes: 1, env });
  return urls[0] ?? "";
}

/** Runs a script for a short time against three nodes, and wants everything right. */
async function runRight(
  script: keyof typeof SHORT,
  more: (cluster: TestCluster) => object = () => ({}),
): Promise<LoadRun> {
  const { cluster, target } = await startTarget();
  const run = await runLoad({ script, target, ...SHORT[script], ...more(cluster) });
  expect(run.code, run.said).toBe(0);
  expect(run.counters).toMatchObject(RIGHT);
  expect(run.counters["vusers.completed"]).toBe(run.counters["vusers.created"]);
  const ours = [...Object.keys(run.counters), ...Object.keys(run.summaries)].filter((name) => /^load\./.test(name));
  for (const name of ours) expect(PAGE).toContain(`\`${name.replace(/(refused\.).*/, "$1CODE")}\``);
  return run;
}

describeWithRedis("npm run load", () => {
  it("[G2] chat: nothing is missing, doubled or out of order against three nodes behind the balancer", {
    timeout: INSTALL_AND_RUN_MS,
  }, async () => {
    const { counters, summaries } = await runRight("chat");
    const sent = counters["load.sent"] ?? 0;
    expect(sent).toBeGreaterThan(500);
    expect(counters["load.acknowledged"]).toBe(sent);
    expect(counters["load.signals"]).toBe(sent);
    // Everybody's, and each sender's own among them.
    expect(counters["load.delivered"]).toBeGreaterThan(2 * sent);
    expect(counters["load.signals_heard"]).toBeGreaterThan(sent);
    expect(summaries["load.ack_ms"]?.count).toBe(sent);
    expect(summaries["load.receipt_ms"]?.count).toBe(counters["load.delivered"]);
  });

  it("presence-storm: everybody knows who is there, however fast they come and go", {
    timeout: INSTALL_AND_RUN_MS,
  }, async () => {
    const { counters, summaries } = await runRight("presence-storm");
    const { members } = SHORT["presence-storm"];
    expect(counters["load.joins"]).toBeGreaterThan(5 * members);
    expect(summaries["load.presence_ms"]?.count).toBeGreaterThan(5 * members);
  });

  it("[G1] broadcast: each message of a speaker reaches every listener once", {
    timeout: INSTALL_AND_RUN_MS,
  }, async () => {
    const { counters } = await runRight("broadcast");
    const { members, duration, "send-every": everyMs } = SHORT.broadcast;
    const sent = (duration * 1_000) / everyMs;
    expect(counters["load.acknowledged"]).toBe(2 * sent);
    expect(counters["load.due"]).toBe(members * sent);
    expect(counters["load.delivered"]).toBe(members * sent);
  });

  it("[G3] reconnect-storm: all connections are lost at once, and every stream goes on", {
    timeout: INSTALL_AND_RUN_MS,
  }, async () => {
    const { counters, summaries } = await runRight("reconnect-storm");
    const { members, storms } = SHORT["reconnect-storm"];
    expect(counters["load.reconnects"]).toBeGreaterThanOrEqual(members * storms);
    expect(counters["load.recovered"]).toBe(counters["load.reconnects"]);
    expect(counters["load.reloads"]).toBe(0);
    expect(summaries["load.recovery_ms"]?.count).toBe(counters["load.recovered"]);
  });

  it("soak: compares the end with the beginning, and watches the nodes", { timeout: INSTALL_AND_RUN_MS }, async () => {
    const { counters, summaries } = await runRight("soak", ({ adminUrls }) => ({ admin: adminUrls.join(",") }));
    expect(counters["load.memory_grew"]).toBe(0);
    expect(summaries["load.node_memory_mib"]?.p95).toBeGreaterThan(10);
    for (const part of ["first", "last"]) expect(summaries[`load.${part}_receipt_ms`]?.count).toBeGreaterThan(100);
  });

  it("[G4] goes on through a killed node, and nothing is missing", { timeout: INSTALL_AND_RUN_MS }, async () => {
    const { cluster, target } = await startTarget();
    const run = runLoad({ target, ...TEN_SECONDS });
    const connections = () => metric(cluster, "roomcast_connections");
    await eventually(async () => expect(await connections()).toBeGreaterThan(2), { withinMs: INSTALL_AND_RUN_MS });
    await cluster.kill(0);
    const { code, said, counters } = await run;
    expect(code, said).toBe(0);
    expect(counters["load.reconnects"]).toBeGreaterThan(2);
    expect(counters).toMatchObject(RIGHT);
    expect(counters["load.acknowledged"]).toBe(counters["load.sent"]);
  });

  it.each(["chat", "broadcast", "reconnect-storm", "soak"] as const)(
    "%s fails against a node that drops messages",
    {
      timeout: INSTALL_AND_RUN_MS,
    },
    async (script) => {
      const target = await startFaulty("messages");
      const { code, said, counters } = await runLoad({ script, target, ...SHORT[script] }, { JWT_SECRET });
      expect(code, said).toBe(1);
      expect(said).toContain("fail: load.missing < 1");
      expect(counters["vusers.failed"]).toBe(0);
      const missing = counters["load.missing"] ?? 0;
      expect(missing / ((counters["load.delivered"] ?? 0) + missing)).toBeCloseTo(0.1, 1);
    },
  );

  it("presence-storm fails against a node that names the wrong members", {
    timeout: INSTALL_AND_RUN_MS,
  }, async () => {
    const target = await startFaulty("presence");
    const run = await runLoad({ script: "presence-storm", target, ...SHORT["presence-storm"] }, { JWT_SECRET });
    expect(run.code, run.said).toBe(1);
    expect(run.said).toContain("fail: load.wrong_views < 1");
    expect(run.counters).toMatchObject({ ...RIGHT, "load.wrong_views": expect.any(Number) });
    expect(run.counters["load.wrong_views"]).toBeGreaterThan(0);
  });

  it("fails where no virtual user gets in, and says why", { timeout: INSTALL_AND_RUN_MS }, async () => {
    const { urls } = await startCluster({ nodes: 1 });
    const one = { duration: 1, rate: 1 };
    const stranger = await runLoad({ target: urls[0] ?? "", ...one }, { JWT_SECRET: "x".repeat(32) });
    expect(stranger.code, stranger.said).toBe(1);
    expect(stranger.counters).toMatchObject({ "vusers.failed": 1, "errors.unauthorized": 1 });
    const target = `http://127.0.0.1:${await freePort()}`;
    const nobody = await runLoad({ script: "broadcast", target, members: 2, listeners: 1 });
    expect(nobody.code, nobody.said).toBe(1);
    expect(nobody.counters).toMatchObject({ "vusers.failed": 2, [`errors.nothing answers at ${target}`]: 2 });
    const wrong = await runLoad({ rate: "many" });
    expect(wrong.code).toBe(1);
    expect(wrong.said).toContain('--rate must be a whole number from 1, not "many"');
  });
});

describeWithPrometheus("npm run load --metrics-port", (programs) => {
  it("a real Prometheus has the figures of the report", { timeout: INSTALL_AND_RUN_MS }, async () => {
    const { urls } = await startCluster({ nodes: 1, env: { RATE_LIMITS: "off" } });
    const port = await freePort();
    const { range } = prometheus(await startPrometheus(programs, [`http://127.0.0.1:${port}`]));
    const options = { script: "broadcast", target: urls[0] ?? "", "metrics-port": port, ...SHORT.broadcast };
    const { code, said, counters, summaries } = await runLoad(options, { JWT_SECRET });
    expect(code, said).toBe(0);
    // The run is over, and its series with it.
    const latest = async (series: string) => (await range(`last_over_time(${series}[1m])`))[0]?.values.at(-1);
    for (const name of ["sent", "acknowledged", "delivered", "due", "missing", "doubled"]) {
      expect(await latest(`roomcast_load_${name}_total{script="broadcast"}`), name).toBe(counters[`load.${name}`]);
    }
    expect(await latest("roomcast_load_vusers_completed_total")).toBe(counters["vusers.completed"]);
    const p95 = await latest('roomcast_load_receipt_seconds{quantile="0.95"}');
    expect(p95).toBeGreaterThan(0);
    expect(p95).toBeLessThanOrEqual((summaries["load.receipt_ms"]?.max ?? 0) / 1_000);
  });

  it("says where the port is in use", { timeout: INSTALL_AND_RUN_MS }, async () => {
    const { urls } = await startCluster({ nodes: 1 });
    const port = new URL(urls[0] ?? "").port;
    const { code, said } = await runLoad({ target: urls[0] ?? "", "metrics-port": port, ...SHORT.chat });
    expect(code, said).toBe(1);
    expect(said).toContain(`--metrics-port: listen EADDRINUSE: address already in use 127.0.0.1:${port}`);
  });
});
