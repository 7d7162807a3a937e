// npm run load: artillery with a script of load/ against a running Roomcast. Artillery is large, so load/ is a package of
// its own, which is installed by the first run.
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { readCall, usage } from "../load/arguments.ts";
import { machine, resultsTable } from "../load/results.ts";
import { ended, spawnTied } from "../src/local/tied-process.ts";
import { VERSION } from "../src/version.ts";
import { setUp } from "./setup.mjs";

const load = join(import.meta.dirname, "../load");

/** Where the user of npm stands. */
const fromCaller = (file) => resolve(process.env.INIT_CWD ?? ".", file);

async function run({ script, config, report, options }) {
  // A browser for a kind of test that is not ours.
  process.env.PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD = "1";
  if (!setUp(load)) return 1;
  const output = report === undefined ? [] : ["--output", fromCaller(report)];
  const overrides = JSON.stringify({ config });
  const args = ["run", "--config", "limits.yml", "--overrides", overrides, ...output, `${script}.yml`];
  const env = { ...process.env, ARTILLERY_DISABLE_TELEMETRY: "true", ARTILLERY_PLUGIN_PATH: load };
  const program = join(load, "node_modules/artillery/bin/run");
  const artillery = spawnTied(process.execPath, [program, ...args], {
    cwd: load,
    stdio: "inherit",
    env,
    deathSignal: "SIGTERM",
  });
  // Ctrl-C reaches artillery too, which then ends in order.
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => artillery.kill("SIGTERM"));
  await ended(artillery);
  if (artillery.exitCode !== null && report !== undefined) describe(fromCaller(report), script, options);
  return artillery.exitCode ?? 1;
}

/** Adds to a report what it is of. A run that did not come about has none. */
function describe(file, script, options) {
  let report;
  try {
    report = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return;
  }
  const facts = { script, options, version: VERSION, machine: machine() };
  writeFileSync(file, JSON.stringify({ run: facts, ...report }, undefined, 2));
}

async function answer(call) {
  if (call.kind === "run") return await run(call);
  const reports = () => call.reports.map((file) => JSON.parse(readFileSync(fromCaller(file), "utf8")));
  console.log(call.kind === "help" ? call.text : resultsTable(reports()));
  return 0;
}

try {
  process.exitCode = await answer(readCall(process.argv.slice(2)));
} catch (error) {
  console.error(`${error.message}\n\n${usage()}`);
  process.exitCode = 1;
}
