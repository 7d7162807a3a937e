// npm run bench: measures Roomcast beside its peers, prints tables, and writes docs/benchmarks.md (bench/report.ts).
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { setUp } from "../scripts/setup.mjs";
import { CONTENDERS, type Contender } from "./contenders/contender.ts";
import { debianPeers } from "./contenders/debian-peers.ts";
import { floor, nodePeers } from "./contenders/node-peers.ts";
import { redisBinary } from "./contenders/node-servers.ts";
import { roomcast } from "./contenders/roomcast.ts";
import { figuresOf } from "./goals.ts";
import { machine } from "./machine.ts";
import { type Options, parseOptions } from "./options.ts";
import { compare, TOLERANCE } from "./regression.ts";
import { writePage } from "./report.ts";
import { type Result, type Results, readResults, writeResults } from "./results.ts";
import type { Scenario } from "./scenarios/scenario.ts";
import { figure, measurementTable, table } from "./table.ts";

const ROOT = join(import.meta.dirname, "..");
/** A run that hangs ends by itself. */
const LONGEST_MS = { full: 60 * 60_000, quick: 5 * 60_000, tiny: 2 * 60_000 } as const;

const say = (line: string) => process.stderr.write(`${line}\n`);

async function prepare(notes: string[]): Promise<Contender[]> {
  if (!setUp(import.meta.dirname)) throw new Error("the packages of bench/ could not be installed");
  const build = spawnSync(process.execPath, [join(ROOT, "scripts/build.mjs"), "--if-stale"], { stdio: "inherit" });
  if (build.status !== 0) throw new Error("the build failed");
  const outside = await debianPeers(say, (name, why) => {
    notes.push(`${name} was not measured: ${why}.`);
    say(`${name} is left out: ${why}`);
  });
  return [roomcast, ...nodePeers(), ...outside, floor];
}

/** With `--quick` there is time for the one that is to be replaced, and the one that does nothing but write. */
function isMeasured({ size }: Options, name: string): boolean {
  return size !== "quick" || ["roomcast", "sharded", "ws"].includes(name);
}

async function measure(
  scenario: Scenario,
  contenders: readonly Contender[],
  options: Options,
  missing: readonly string[],
): Promise<Result> {
  const notes: string[] = [];
  const measurements = await scenario.run({
    size: options.size,
    rounds: options.rounds,
    contenders: (names) => contenders.filter(({ name }) => names.includes(name) && isMeasured(options, name)),
    say,
    note: (line) => notes.push(line),
  });
  const labels = contenders
    .filter(({ name }) => measurements.some(({ values }) => values[name] !== undefined))
    .toSorted((a, b) => CONTENDERS.indexOf(a.name) - CONTENDERS.indexOf(b.name))
    .map(({ name, label }) => [name, label]);
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: machine(),
    rounds: options.rounds,
    description: scenario.describe(options.size),
    notes: scenario.name === "room" ? [...notes, ...missing] : notes,
    versions: Object.fromEntries([...labels, ["Node.js", process.version], ["Redis", (await redisBinary()).label]]),
    measurements,
  };
}

function print(name: string, { description, notes, measurements }: Result): void {
  console.log([`\n== ${name}`, description, ...notes, ...measurements.map(measurementTable)].join("\n\n"));
}

/** Prints every ratio beside the committed one; false where one is worse. */
function check(results: Results, committed: Results): boolean {
  const figures = (of: Results) => Object.values(of).flatMap(({ measurements }) => figuresOf(measurements));
  const comparisons = compare(figures(results), figures(committed));
  const rows = comparisons.map(({ name, measured, committed: before, worse }) => [
    name,
    figure(before),
    figure(measured),
    worse ? "worse" : "",
  ]);
  console.log(`\n== check (tolerance ${TOLERANCE * 100} %)\n\n${table(["what", "committed", "measured", ""], rows)}`);
  return comparisons.every(({ worse }) => !worse);
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  setTimeout(() => {
    say("this takes too long: given up");
    process.exit(1);
  }, LONGEST_MS[options.size]).unref();
  const missing: string[] = [];
  const contenders = await prepare(missing);
  const results: Record<string, Result> = {};
  let failed = false;
  for (const scenario of options.scenarios) {
    const begun = performance.now();
    try {
      const result = await measure(scenario, contenders, options, missing);
      results[scenario.name] = result;
      say(`${scenario.name} took ${((performance.now() - begun) / 1_000).toFixed(0)} s`);
      print(scenario.name, result);
    } catch (error) {
      failed = true;
      say(`${scenario.name} failed: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }
  const committed = readResults();
  if (options.check) return check(results, committed) && !failed ? 0 : 1;
  if (options.size === "full") {
    const all = { ...committed, ...results };
    writeResults(all);
    writePage(readResults());
    console.log("\nwritten: docs/benchmarks.md, bench/results.json");
  }
  return failed ? 1 : 0;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));
try {
  process.exitCode = await main();
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
