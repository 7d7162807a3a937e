import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { freePort } from "../../src/local/ports.ts";
import { ended, endProcess, spawnTied } from "../../src/local/tied-process.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithRedis } from "../support/redis.ts";
import { startSticky } from "../support/sticky.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { JWT_SECRET } from "../support/token.ts";

const ROOT = join(import.meta.dirname, "../..");
/** The first run installs artillery, which is some hundred megabytes. */
const INSTALL_AND_RUN_MS = 20 * 60_000;
const STOP_GRACE_MS = 10_000;
const README = readFileSync(join(ROOT, "load/README.md"), "utf8");
const DROP_MESSAGES = pathToFileURL(join(ROOT, "test/support/drop-messages.ts")).href;

interface Run {
  readonly code: number | null;
  readonly said: string;
  /** Counts by name; empty where there was no run. */
  readonly counters: Readonly<Record<string, number>>;
  readonly summaries: Readonly<Record<string, { count: number; p95: number }>>;
}

/** `npm run load`, as a user runs it. */
async function runLoad(options: Record<string, string | number>, env: Record<string, string> = {}): Promise<Run> {
  const folder = mkdtempSync(join(tmpdir(), "roomcast-load-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const report = join(folder, "report.json");
  const args = Object.entries({ ...options, report }).map(([name, value]) => `--${name}=${value}`);
  const child = spawnTied("npm", ["run", "load", "--", ...args], {
    cwd: ROOT,
    env: { ...process.env, JWT_SECRET: "", ...env },
    deathSignal: "SIGTERM",
  });
  stopsWithTest(() => endProcess(child, STOP_GRACE_MS));
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", (text) => (said += text));
  await ended(child);
  const code = child.exitCode;
  try {
    return { code, said, ...JSON.parse(readFileSync(report, "utf8")).aggregate };
  } catch {
    return { code, said, counters: {}, summaries: {} };
  }
}

const TEN_SECONDS = { duration: 10, rate: 4, stay: 5, "room-size": 6, "send-every": 200 };

describeWithRedis("npm run load", () => {
  it("[G2] ten seconds against three nodes behind the balancer: nothing is missing, doubled or out of order", {
    timeout: INSTALL_AND_RUN_MS,
  }, async () => {
    const cluster = await startCluster({ env: { RATE_LIMITS: "off" } });
    const { url } = await startSticky(cluster);
    const { code, said, counters, summaries } = await runLoad({ target: url, ...TEN_SECONDS });
    expect(code, said).toBe(0);
    expect(counters["vusers.completed"]).toBe(counters["vusers.created"]);
    expect(counters).toMatchObject({ "chat.missing": 0, "chat.doubled": 0, "chat.out_of_order": 0 });
    const sent = counters["chat.sent"] ?? 0;
    expect(sent).toBeGreaterThan(500);
    expect(counters["chat.acknowledged"]).toBe(sent);
    // Everybody's, and each sender's own among them.
    expect(counters["chat.received"]).toBeGreaterThan(2 * sent);
    expect(summaries["chat.ack_ms"]?.count).toBe(sent);
    expect(summaries["chat.receipt_ms"]?.count).toBe(sent);
    const ours = [...Object.keys(counters), ...Object.keys(summaries)].filter((name) => name.startsWith("chat."));
    for (const name of ours) expect(README).toContain(`\`${name}\``);
  });

  it("[G4] goes on through a killed node, and nothing is missing", { timeout: INSTALL_AND_RUN_MS }, async () => {
    const cluster = await startCluster({ env: { RATE_LIMITS: "off" } });
    const { url } = await startSticky(cluster);
    const run = runLoad({ target: url, ...TEN_SECONDS });
    const connections = async () => {
      const text = await (await fetch(`${cluster.adminUrls[0]}/metrics`)).text();
      return Number(/^roomcast_connections\S* (\d+)$/m.exec(text)?.[1]);
    };
    await eventually(async () => expect(await connections()).toBeGreaterThan(2), { withinMs: INSTALL_AND_RUN_MS });
    await cluster.kill(0);
    const { code, said, counters } = await run;
    expect(code, said).toBe(0);
    expect(counters["chat.reconnects"]).toBeGreaterThan(2);
    expect(counters).toMatchObject({ "chat.missing": 0, "chat.doubled": 0, "vusers.failed": 0 });
    expect(counters["chat.acknowledged"]).toBe(counters["chat.sent"]);
  });

  it("fails against a node that drops messages", { timeout: INSTALL_AND_RUN_MS }, async () => {
    const { urls } = await startCluster({
      nodes: 1,
      env: { RATE_LIMITS: "off", NODE_OPTIONS: `--import=${DROP_MESSAGES}` },
    });
    const { code, said, counters } = await runLoad({ target: urls[0] ?? "", ...TEN_SECONDS }, { JWT_SECRET });
    expect(code, said).toBe(1);
    expect(said).toContain("fail: chat.missing < 1");
    expect(counters["vusers.failed"]).toBe(0);
    const lost = (counters["chat.missing"] ?? 0) / ((counters["chat.received"] ?? 0) + (counters["chat.missing"] ?? 0));
    expect(lost).toBeCloseTo(0.1, 1);
  });

  it("fails where no virtual user gets in, and says why", { timeout: INSTALL_AND_RUN_MS }, async () => {
    const { urls } = await startCluster({ nodes: 1 });
    const one = { duration: 1, rate: 1 };
    const stranger = await runLoad({ target: urls[0] ?? "", ...one }, { JWT_SECRET: "x".repeat(32) });
    expect(stranger.code, stranger.said).toBe(1);
    expect(stranger.counters).toMatchObject({ "vusers.failed": 1, "errors.unauthorized": 1 });
    const target = `http://127.0.0.1:${await freePort()}`;
    const nobody = await runLoad({ target, ...one });
    expect(nobody.code, nobody.said).toBe(1);
    expect(nobody.counters).toMatchObject({ "vusers.failed": 1, [`errors.nothing answers at ${target}`]: 1 });
    const wrong = await runLoad({ rate: "many" });
    expect(wrong.code).toBe(1);
    expect(wrong.said).toContain('--rate must be a whole number from 1, not "many"');
  });
});
