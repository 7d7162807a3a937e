// npm test, and npm run test:ship (`ship` as argument). Runs every step whatever became of the one before; the last line
// of stdout is always `N passed, N failed, N skipped`, where lint, types and build count as one test each.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ended, spawnTied } from "../src/local/tied-process.ts";

const root = join(import.meta.dirname, "..");
const PROJECTS = { "": ["unit", "contract", "cluster", "hardening", "browser"], ship: ["ship"] };

/** What runs now, so that it can be ended with us. */
let current;
let interrupted = false;

/** Runs one of the project's tools to its end; true where it liked what it saw. */
async function run(title, script, args, env = {}) {
  if (interrupted) return false;
  console.log(`\n== ${title}`);
  const options = { cwd: root, stdio: "inherit", env: { ...process.env, ...env }, deathSignal: "SIGTERM" };
  current = spawnTied(process.execPath, [join(root, script), ...args], options);
  await ended(current);
  if (current.signalCode !== null) console.log(`${title} was ended by ${current.signalCode}`);
  return current.exitCode === 0;
}

function steps() {
  return [
    ["lint", () => run("lint", "node_modules/@biomejs/biome/bin/biome", ["check", "."])],
    ["types", () => run("types", "node_modules/typescript/bin/tsc", ["--noEmit"])],
    ["build", () => run("build", "scripts/build.mjs", [])],
  ];
}

function hasTests(project) {
  const folder = join(root, "test", project);
  return existsSync(folder) && readdirSync(folder, { recursive: true }).some((file) => file.endsWith(".test.ts"));
}

/** The numbers of these vitest projects; one failure where vitest ended without leaving any. */
async function vitest(projects) {
  const folder = mkdtempSync(join(tmpdir(), "roomcast-tally-"));
  const file = join(folder, "tally.json");
  try {
    const names = projects.flatMap((project) => ["--project", project]);
    const ok = await run(`tests: ${projects.join(", ")}`, "node_modules/vitest/vitest.mjs", ["run", ...names], {
      ROOMCAST_TALLY: file,
    });
    if (!existsSync(file)) return { passed: 0, failures: ["vitest ended without an answer"], skipped: [] };
    const tally = JSON.parse(readFileSync(file, "utf8"));
    // vitest may dislike something that is no test's fault: never let that pass.
    if (!ok && tally.failures.length === 0) tally.failures.push("vitest disliked something that is no test's fault");
    return tally;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function main() {
  const suite = process.argv[2] ?? "";
  const total = { passed: 0, failures: [], skipped: [] };
  const projects = PROJECTS[suite].filter(hasTests);
  try {
    if (suite === "") {
      for (const [name, step] of steps()) {
        if (await step()) total.passed++;
        else total.failures.push(name);
      }
    }
    if (projects.length > 0) {
      const tally = await vitest(projects);
      total.passed += tally.passed;
      total.failures.push(...tally.failures);
      total.skipped.push(...tally.skipped);
    } else total.failures.push("no tests at all");
  } catch (error) {
    console.log(error);
    total.failures.push(`the test command itself: ${error}`);
  }
  if (interrupted) total.failures.push("interrupted");
  console.log("");
  for (const name of total.failures) console.log(`failed: ${name}`);
  for (const { title, reason } of total.skipped) console.log(`skipped: ${title} (${reason})`);
  console.log(`${total.passed} passed, ${total.failures.length} failed, ${total.skipped.length} skipped`);
  process.exitCode = total.failures.length === 0 ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    interrupted = true;
    current?.kill("SIGTERM");
  });
}
await main();
