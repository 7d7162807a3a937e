// npm run load: artillery with load/chat.yml against a running Roomcast. Artillery is large, so load/ is a package of its
// own, which is installed by the first run.
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { OPTIONS } from "../load/options.ts";
import { ended, spawnTied } from "../src/local/tied-process.ts";
import { setUp } from "./setup.mjs";

const load = join(import.meta.dirname, "../load");

function usage() {
  const lines = Object.entries(OPTIONS).map(([name, { meaning }]) => `  --${name.padEnd(12)} ${meaning}`);
  return [
    "npm run load -- --target http://127.0.0.1:3000 [options]",
    "  --target       http or https address of the balancer or of a node",
    ...lines,
    "  --report       file to write all metrics to, as JSON",
    "Tokens are signed with JWT_SECRET where it is set, else asked for at POST /dev/token of the target.",
  ].join("\n");
}

function setAt(holder, [key, ...rest], value) {
  if (rest.length === 0) {
    holder[key] = value;
    return;
  }
  holder[key] ??= typeof rest[0] === "number" ? [] : {};
  setAt(holder[key], rest, value);
}

/** artillery's arguments; throws what is wrong with ours. */
function argumentsOf({ target, report, ...numbers }) {
  const config = {};
  if (target !== undefined) {
    if (!/^https?:$/.test(URL.parse(target)?.protocol ?? ""))
      throw new Error("--target must be an http or https address");
    config.target = target;
  }
  for (const [name, text] of Object.entries(numbers)) {
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1)
      throw new Error(`--${name} must be a whole number from 1, not "${text}"`);
    setAt(config, OPTIONS[name].path, value);
  }
  const output = report === undefined ? [] : ["--output", resolve(process.env.INIT_CWD ?? ".", report)];
  return ["run", "--overrides", JSON.stringify({ config }), ...output, "chat.yml"];
}

function readArguments() {
  const string = { type: "string" };
  const numbers = Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, string]));
  const { values } = parseArgs({
    options: { help: { type: "boolean" }, target: string, report: string, ...numbers },
  });
  const { help, ...rest } = values;
  return help ? undefined : argumentsOf(rest);
}

async function run(args) {
  // A browser for a kind of test that is not ours.
  process.env.PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD = "1";
  if (!setUp(load)) return 1;
  const env = { ...process.env, ARTILLERY_DISABLE_TELEMETRY: "true" };
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
  return artillery.exitCode ?? 1;
}

try {
  const args = readArguments();
  if (args === undefined) console.log(usage());
  else process.exitCode = await run(args);
} catch (error) {
  console.error(`${error.message}\n\n${usage()}`);
  process.exitCode = 1;
}
