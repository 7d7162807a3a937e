import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { eventually } from "../support/eventually.ts";

const SETUP = join(import.meta.dirname, "../../scripts/setup.mjs");

/** A folder with a lock file and a stand-in for npm that notes its arguments and "installs" a Node of this version. */
function project(nodeVersion: string) {
  const root = mkdtempSync(join(tmpdir(), "roomcast-setup-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, "scripts"));
  writeFileSync(join(root, "scripts/setup.mjs"), readFileSync(SETUP));
  writeFileSync(join(root, "package-lock.json"), '{"lockfileVersion":3}');
  writeFileSync(join(root, "package.json"), '{"allowScripts":{"node":true,"elsewhere":true,"miner":false}}');
  const npm = `
    const { appendFileSync, mkdirSync, rmSync, writeFileSync } = require("node:fs");
    const args = process.argv.slice(2);
    appendFileSync(args[0] === "ci" ? "npm-calls" : "npm-rebuilds", JSON.stringify(args) + "\\n");
    if (args[0] !== "ci") process.exit(0);
    if (process.env.NPM_FAILS) { console.error("npm is unwell"); process.exit(1); }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    rmSync("node_modules", { recursive: true, force: true });
    for (const name of [".bin", "node", "miner", "unlisted"]) mkdirSync("node_modules/" + name, { recursive: true });
    writeFileSync("node_modules/.bin/node", ${JSON.stringify(nodeVersion)}, { mode: 0o755 });
  `;
  writeFileSync(join(root, "npm-cli.cjs"), npm);
  const env = { ...process.env, npm_execpath: join(root, "npm-cli.cjs"), npm_lifecycle_event: "test" };
  const args = [join(root, "scripts/setup.mjs")];
  return {
    root,
    setUp: (extra: Record<string, string> = {}) =>
      spawnSync(process.execPath, args, { env: { ...env, ...extra }, encoding: "utf8", cwd: tmpdir() }),
    start: () => spawn(process.execPath, args, { env, stdio: "ignore" }),
    calls: () => linesOf(join(root, "npm-calls")),
    rebuilds: () => linesOf(join(root, "npm-rebuilds")),
  };
}

function linesOf(file: string): string[][] {
  try {
    const lines = readFileSync(file, "utf8").trim().split("\n");
    return lines.map((line) => JSON.parse(line) as string[]);
  } catch {
    return [];
  }
}

const NODE_24 = "#!/bin/sh\necho v24.99.0\n";
const NODE_22 = "#!/bin/sh\necho v22.1.0\n";

describe("scripts/setup.mjs", () => {
  let right: ReturnType<typeof project>;
  beforeEach(() => {
    right = project(NODE_24);
  });

  it("installs once, development dependencies included, and then does nothing", () => {
    const first = right.setUp({ NODE_ENV: "production" });
    expect(first).toMatchObject({ status: 0, stdout: "" });
    expect(first.stderr.trim().split("\n")).toHaveLength(1);
    expect(right.calls()).toHaveLength(1);
    expect(right.calls()[0]).toEqual(expect.arrayContaining(["ci", "--include=dev", "--ignore-scripts"]));
    expect(right.setUp()).toMatchObject({ status: 0, stdout: "", stderr: "" });
    expect(right.calls()).toHaveLength(1);
  });

  it("runs install scripts only of packages that package.json allows, on any npm", () => {
    right.setUp();
    expect(right.rebuilds()).toEqual([["rebuild", "--ignore-scripts=false", "--loglevel=error", "node"]]);
  });

  it("takes a lock for void that has its own process id, of an earlier container", () => {
    const right = project("24.0.0");
    mkdirSync(join(right.root, ".cache"));
    const line = 'echo -n $$ > .cache/setup.lock; exec "$0" scripts/setup.mjs';
    const env = { ...process.env, npm_execpath: join(right.root, "npm-cli.cjs") };
    const { status } = spawnSync("sh", ["-c", line, process.execPath], { cwd: right.root, env, timeout: 8_000 });
    expect(status).toBe(0);
    expect(right.calls()).toHaveLength(1);
  });

  it("installs again when the lock file has changed, or node_modules is gone", () => {
    right.setUp();
    writeFileSync(join(right.root, "package-lock.json"), '{"lockfileVersion":3, "changed": true}');
    expect(right.setUp().status).toBe(0);
    expect(right.calls()).toHaveLength(2);
    rmSync(join(right.root, "node_modules"), { recursive: true });
    expect(right.setUp().status).toBe(0);
    expect(right.calls()).toHaveLength(3);
  });

  it("says what to do where npm's scripts get another Node, and tries again the next time", () => {
    const wrong = project(NODE_22);
    const { status, stderr, stdout } = wrong.setUp();
    expect(status).toBe(1);
    expect(stderr).toMatch(/npm's scripts get Node v22\.1\.0, and Roomcast needs 24; .*install Node 24/);
    expect(stdout).toBe("0 passed, 1 failed, 0 skipped\n");
    wrong.setUp();
    expect(wrong.calls()).toHaveLength(2);
  });

  it("takes the machine's Node where the one from node_modules does not run", () => {
    const broken = project("#!/no/such/loader\n");
    const right24 = join(broken.root, "machine");
    mkdirSync(right24);
    writeFileSync(join(right24, "node"), NODE_24, { mode: 0o755 });
    expect(broken.setUp({ PATH: `${right24}:${process.env.PATH}` })).toMatchObject({ status: 0 });
  });

  it("passes on why npm failed", () => {
    const { status, stderr } = right.setUp({ NPM_FAILS: "1" });
    expect(status).toBe(1);
    expect(stderr).toContain("npm is unwell");
  });

  it("installs once where two start at the same time, and after one that died in the middle", async () => {
    const children = [right.start(), right.start()];
    const codes = await Promise.all(children.map((child) => new Promise((resolve) => child.once("exit", resolve))));
    expect(codes).toEqual([0, 0]);
    expect(right.calls()).toHaveLength(1);

    rmSync(join(right.root, "node_modules"), { recursive: true });
    const dying = right.start();
    await eventually(() => expect(right.calls()).toHaveLength(2));
    dying.kill("SIGKILL");
    await new Promise((resolve) => dying.once("exit", resolve));
    expect(right.setUp().status).toBe(0);
  });
});
