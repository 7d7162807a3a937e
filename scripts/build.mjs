// npm run build: makes dist/ (TypeScript compiled, the Lua scripts beside it). With --if-stale it does so only when a
// source has changed since. dist/ is replaced in one step, so that nobody sees half of it.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");
const REPLACE_ATTEMPTS = 5;
const stamp = join(dist, ".sources");

function sources() {
  const inside = (folder) => readdirSync(join(root, folder), { recursive: true }).map((path) => join(folder, path));
  return [...inside("src"), ...inside("web/docs"), "tsconfig.json", "tsconfig.build.json", "package-lock.json"].sort();
}

/** What `/docs/` serves: pages of our own, and of the viewer's package no more than they load, with its licence. */
function copyViewer(made) {
  const viewer = join(root, "node_modules/swagger-ui-dist");
  cpSync(join(root, "web/docs"), join(made, "viewer"), { recursive: true });
  for (const name of ["swagger-ui-bundle.js", "swagger-ui.css", "LICENSE", "NOTICE"]) {
    cpSync(join(viewer, name), join(made, "viewer", name));
  }
}

/** Changes whenever a source is added, removed or written. */
function fingerprint() {
  const hash = createHash("sha256");
  for (const path of sources()) {
    const { mtimeMs, size, ino } = statSync(join(root, path));
    hash.update(`${path} ${mtimeMs} ${size} ${ino}\n`);
  }
  return hash.digest("hex");
}

/** Whether dist/ was made from the sources as they are. */
function isFresh(now) {
  return existsSync(stamp) && readFileSync(stamp, "utf8") === now;
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Removes what builds left that were killed half-way. */
function removeLeftovers() {
  for (const name of readdirSync(root)) {
    const pid = /^\.dist-(\d+)/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(root, name), { recursive: true, force: true });
  }
}

/** Two builds at the same time may both be at this: whoever finds the other's dist/ in the way moves it as well. */
function replaceDist(made) {
  const old = `${made}-old`;
  for (let attempt = 1; ; attempt++) {
    rmSync(old, { recursive: true, force: true });
    try {
      if (existsSync(dist)) renameSync(dist, old);
      renameSync(made, dist);
      break;
    } catch (error) {
      if (attempt === REPLACE_ATTEMPTS || !["ENOENT", "ENOTEMPTY", "EEXIST"].includes(error.code)) throw error;
    }
  }
  rmSync(old, { recursive: true, force: true });
}

function build(now) {
  removeLeftovers();
  // As deep as dist/ is, so that the source maps point to src/ from there too.
  const made = join(root, `.dist-${process.pid}`);
  rmSync(made, { recursive: true, force: true });
  try {
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const args = [tsc, "-p", join(root, "tsconfig.build.json"), "--outDir", made, "--noEmitOnError"];
    const { status } = spawnSync(process.execPath, args, { stdio: "inherit", cwd: root });
    if (status !== 0) return status ?? 1;
    for (const path of sources()) {
      if (path.endsWith(".lua")) cpSync(join(root, path), join(made, path.slice("src/".length)));
    }
    copyViewer(made);
    writeFileSync(join(made, ".sources"), now);
    replaceDist(made);
    return 0;
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

const now = fingerprint();
process.exitCode = process.argv.includes("--if-stale") && isFresh(now) ? 0 : build(now);
