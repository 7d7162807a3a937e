// npm run faults: real nodes, a real Redis and stock clients under load, while things go wrong; then everything that was
// observed is held against everything that is promised. Exit code 1 where something is not as promised, 2 where a run could
// not be made.
import { setTimeout as delay } from "node:timers/promises";
import { buildIfStale } from "../src/local/build.ts";
import { Started } from "../src/local/started.ts";
import { breakBuild } from "./broken-build.ts";
import { OptionError, type Options, readOptions, USAGE } from "./options.ts";
import { writePage } from "./page.ts";
import { failureLines, tableLines } from "./report.ts";
import { addResult, machine, readResults } from "./results.ts";
import { run } from "./run.ts";
import { SCENARIOS } from "./scenarios.ts";
import { stockScript, versions } from "./target.ts";
import { judge, judgeStock, type Verdict } from "./verdict.ts";

/** For starting and settling, beside the seconds of the run itself. */
const MOST_BESIDE_MS = 80_000;
/** Longer than a Redis in a container may take. */
const ENDED_WITHIN_MS = 30_000;
const ENDS_NOT = "what the run started does not end";
const INTERRUPTED = 130;
const NOT_RUN = 2;

const say = (line: string) => console.log(line);
let started = new Started();

let interrupted = false;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    interrupted = true;
    const ended = within(ENDED_WITHIN_MS, started.end(), ENDS_NOT).catch((error: unknown) => console.error(error));
    void ended.finally(() => process.exit(INTERRUPTED));
  });
}

interface Row {
  readonly target: Options["target"];
  readonly scenario: string;
  readonly seed: number;
  readonly verdict: Verdict;
}

/** Rejects with `otherwise` where it takes longer. */
async function within<T>(ms: number, work: Promise<T>, otherwise: string): Promise<T> {
  const limit = new AbortController();
  const late = delay(ms, undefined, { signal: limit.signal }).then(() => {
    throw new Error(otherwise);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    limit.abort();
  }
}

async function one(options: Options, scenario: string, seed: number, script: string | undefined): Promise<Row> {
  const { target, seconds, clients, results } = options;
  say(`\n${scenario}, seed ${seed}: ${SCENARIOS[scenario]?.about}`);
  started = new Started();
  const begunAt = performance.now();
  const reached = (stage: string) => say(`  after ${((performance.now() - begunAt) / 1_000).toFixed(1)} s ${stage}`);
  const running = within(
    seconds * 1_000 + MOST_BESIDE_MS,
    run({ target, scenario, seed, seconds, clients, script, reached }, started),
    `${scenario} with seed ${seed} does not come to an end`,
  );
  const [outcome] = await Promise.allSettled([running]);
  const [ending] = await Promise.allSettled([within(ENDED_WITHIN_MS, started.end(), ENDS_NOT)]);
  // What the run itself came to is the news.
  if (outcome.status === "rejected") throw outcome.reason;
  if (ending.status === "rejected") throw ending.reason;
  const made = outcome.value;
  const verdict = (target === "stock" ? judgeStock : judge)(made.observed);
  const row = { target, scenario, seed, verdict };
  for (const line of tableLines([row])) say(`  ${line}`);
  if (made.counted !== "") say(`  the nodes counted ${made.counted}`);
  if (target === "roomcast") for (const line of failureLines(made, verdict)) say(`  ${line}`);
  if (results !== undefined) {
    await addResult(results, {
      ...{ target, scenario, seed, seconds, clients },
      verdict: { ...verdict, violations: verdict.violations.length },
      machine: machine(),
      versions: await versions(made.redisVersion),
      date: new Date().toISOString().slice(0, 10),
    });
  }
  return row;
}

async function all(options: Options): Promise<boolean> {
  const { target, broken } = options;
  if (!buildIfStale()) throw new Error("the build failed");
  const wrong = broken === undefined ? undefined : await breakBuild(broken);
  const script = target === "stock" ? stockScript() : wrong?.script;
  const rows: Row[] = [];
  const skipped: string[] = [];
  try {
    for (const seed of options.seeds) {
      for (const scenario of options.scenarios) {
        const why = target === "stock" ? SCENARIOS[scenario]?.notForStock : undefined;
        if (why === undefined) rows.push(await one(options, scenario, seed, script));
        else skipped.push(`${scenario} is left out: ${why}`);
      }
    }
  } finally {
    await wrong?.remove();
  }
  say(`\n${target}${broken === undefined ? "" : `, broken on purpose: ${broken}`}`);
  for (const line of tableLines(rows)) say(line);
  for (const line of skipped) say(line);
  return rows.every(({ verdict }) => verdict.violations.length === 0);
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  const isWell = options.scenarios.length === 0 || (await all(options));
  if (options.page !== undefined && options.results !== undefined) {
    await writePage(options.page, await readResults(options.results));
    say(`\n${options.page} is written anew`);
  }
  return isWell ? 0 : 1;
}

// Not only an exit code: what did not end would keep this process. What was ended on the way fails in one way or another,
// and whoever was told to end it exits.
try {
  const code = await main();
  if (!interrupted) process.exit(code);
} catch (error) {
  if (!interrupted) {
    console.error(error instanceof OptionError ? `${error.message}\n\n${USAGE}` : error);
    process.exit(NOT_RUN);
  }
}
