import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../src/local/ports.ts";
import { RULES } from "./alerts.ts";
import { eventually } from "./eventually.ts";
import type { PrometheusPrograms } from "./promtool.ts";
import { stopsWithTest } from "./teardown.ts";

const READY_WITHIN_MS = 20_000;

/** A Prometheus of this test's own that scrapes these admin ports every second, with the committed alert rules; its address. */
export async function startPrometheus(programs: PrometheusPrograms, adminUrls: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "roomcast-prometheus-"));
  const config = {
    global: { scrape_interval: "1s", evaluation_interval: "1s" },
    rule_files: [join(import.meta.dirname, "../..", RULES)],
    scrape_configs: [
      { job_name: "roomcast", static_configs: [{ targets: adminUrls.map((url) => new URL(url).host) }] },
    ],
  };
  const file = join(folder, "prometheus.json");
  await writeFile(file, JSON.stringify(config));
  const address = `127.0.0.1:${await freePort()}`;
  const options = [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(folder, "data")}`,
    `--web.listen-address=${address}`,
  ];
  const child = spawn(programs.prometheus, options, { env: programs.env, stdio: "ignore" });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  stopsWithTest(async () => {
    child.kill("SIGKILL");
    await ended;
    await rm(folder, { recursive: true, force: true });
  });
  const url = `http://${address}`;
  await eventually(
    async () => {
      if (!(await fetch(`${url}/-/ready`)).ok) throw new Error("Prometheus is not ready");
    },
    { withinMs: READY_WITHIN_MS },
  );
  return url;
}
