// The first step of npm start and npm test, on whatever Node the machine has (14.13 or newer), so: no dependencies, no new
// syntax. Not a `prestart`: npm leaves those out where ignore-scripts is set. The shell then has to look for node anew
// (hash -r), as this may have brought another one.
// It installs what package-lock.json names unless that is what is installed, and sees that the scripts get Node 24.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, realpathSync, unlinkSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const NODE_MAJOR = "24";
const LOCK_WAIT_MS = 10 * 60 * 1000;
const LOCK_POLL_MS = 300;

function say(line) {
  console.error(`setup: ${line}`);
}

function lockFile(root) {
  return readFileSync(join(root, "package-lock.json"));
}

/** What an installation depends on: the lock file's text, and the platform that its programs are for. */
export function installationMark(lock) {
  return createHash("sha256").update(`${process.platform}-${process.arch}\n`).update(lock).digest("hex");
}

/** Whether node_modules in this folder is what its package-lock.json asks for. */
export function isInstalled(root) {
  const mark = join(root, "node_modules/.roomcast-setup");
  return existsSync(mark) && readFileSync(mark, "utf8") === installationMark(lockFile(root));
}

/** The version of Node that npm's scripts get in this folder, such as `v24.1.0`; nothing where none runs. */
function nodeOfScripts(root) {
  const path = join(root, "node_modules/.bin") + delimiter + process.env.PATH;
  const env = Object.assign({}, process.env, { PATH: path });
  const asked = spawnSync("node", ["--version"], { encoding: "utf8", env: env, shell: process.platform === "win32" });
  return asked.status === 0 ? asked.stdout.trim() : undefined;
}

/** What is wrong with the Node that npm's scripts get, in one sentence; nothing where it is right. */
export function nodeProblem(root) {
  const program = join(root, "node_modules/.bin/node");
  const brought = existsSync(program);
  let version = nodeOfScripts(root);
  if (version === undefined && brought) {
    // It does not run here (musl instead of glibc, say), and would hide one of the machine's that does.
    unlinkSync(program);
    version = nodeOfScripts(root);
  }
  if (version !== undefined && version.split(".")[0] === `v${NODE_MAJOR}`) return undefined;
  const why = brought
    ? `the one from node_modules does not run on ${process.platform}-${process.arch}, so install`
    : "the package `node` is empty, because install scripts are blocked: allow them, or install";
  return `npm's scripts get Node ${version || "(none)"}, and Roomcast needs ${NODE_MAJOR}; ${why} Node ${NODE_MAJOR} and run npm with it.`;
}

function npm(root, args) {
  const options = { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] };
  // npm tells its scripts where it is: it need not be on the PATH.
  const cli = process.env.npm_execpath;
  if (cli && /npm-cli\.[cm]?js$/.test(cli)) return spawnSync(process.execPath, [cli].concat(args), options);
  return spawnSync("npm", args, Object.assign({ shell: process.platform === "win32" }, options));
}

/** The packages whose own scripts may run: those that package.json allows, and that are here. */
function allowedScripts(root) {
  const allowed = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).allowScripts || {};
  return Object.keys(allowed).filter((name) => allowed[name] && existsSync(join(root, "node_modules", name)));
}

function succeeded(root, args) {
  const done = npm(root, args);
  if (done.status === 0) return true;
  const words = (done.stderr || "") + (done.error ? done.error.message : "");
  say(`npm ${args[0]} failed: ${words.trim().slice(0, 2000)}`);
  return false;
}

function install(root) {
  say("installing what package-lock.json names (npm ci)");
  // --include=dev: NODE_ENV=production would leave out what the commands are made of.
  // In two steps, because an npm before 11.16 knows no list of packages whose scripts may run, and runs them all.
  if (!succeeded(root, ["ci", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])) {
    return false;
  }
  // --ignore-scripts=false, whatever the machine is set to: the package `node` fetches its program by a script.
  const allowed = allowedScripts(root);
  if (allowed.length > 0) {
    const rebuild = ["rebuild", "--ignore-scripts=false", "--loglevel=error"].concat(allowed);
    if (!succeeded(root, rebuild)) return false;
  }
  const problem = nodeProblem(root);
  if (problem !== undefined) {
    say(problem);
    return false;
  }
  writeFileSync(join(root, "node_modules/.roomcast-setup"), installationMark(lockFile(root)));
  return true;
}

function sleep(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function remove(file) {
  try {
    unlinkSync(file);
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
}

/** Takes the lock, or returns the id of the process that has it: 0 while that one is still writing it down. */
function take(lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" });
    return undefined;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  try {
    return Number(readFileSync(lock, "utf8"));
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    return 0;
  }
}

/** Runs `work` while no other process runs it under the same lock file. The lock of a process that is gone is void. */
export function exclusively(lock, work) {
  const deadline = Date.now() + LOCK_WAIT_MS;
  let told = false;
  mkdirSync(dirname(lock), { recursive: true });
  for (let holder = take(lock); holder !== undefined; holder = take(lock)) {
    // In a container a process may have the very id that one of an earlier container had.
    if (holder === process.pid || (holder !== 0 && !isAlive(holder))) {
      remove(lock);
      continue;
    }
    if (Date.now() > deadline)
      throw new Error(`process ${holder} is setting up for too long: end it, or delete ${lock}`);
    if (!told) say("waiting for another set-up of this folder");
    told = true;
    sleep(LOCK_POLL_MS);
  }
  try {
    return work();
  } finally {
    remove(lock);
  }
}

/** Installs where need be; false where that failed. */
export function setUp(root) {
  if (isInstalled(root)) return true;
  return exclusively(join(root, ".cache/setup.lock"), () => isInstalled(root) || install(root));
}

const self = fileURLToPath(import.meta.url);
if (process.argv[1] && realpathSync(process.argv[1]) === realpathSync(self)) {
  const done = setUp(dirname(dirname(self)));
  // Whoever reads the last line of npm test finds it there, whatever happened.
  if (!done && /^test/.test(process.env.npm_lifecycle_event || "")) console.log("0 passed, 1 failed, 0 skipped");
  process.exitCode = done ? 0 : 1;
}
