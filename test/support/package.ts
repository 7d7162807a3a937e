import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ask } from "../../src/local/run-command.ts";
import { stopsWithTest } from "./teardown.ts";

const ROOT = join(import.meta.dirname, "../..");
const EXAMPLE = join(ROOT, "examples/typescript/server.ts");
/** What a project has beside Roomcast: the example's Express, and types. */
const BESIDE = ["express", "@types/express", "@types/node"];
const COMMAND_TIMEOUT_MS = 240_000;

async function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  const said = await ask(command, args, { timeoutMs: COMMAND_TIMEOUT_MS, cwd, env: ofAnotherProject() });
  if (said === undefined) throw new Error(`${command} ${args.join(" ")} failed`);
  return said;
}

/** Without what the npm that runs these tests tells its children: this project's own settings. */
function ofAnotherProject(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
}

interface Manifest {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

async function manifest(): Promise<Manifest> {
  return JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as Manifest;
}

/** The package as it would be published, made from `dist/` as it is. */
export interface Packed {
  readonly tarball: string;
  readonly files: readonly string[];
}

export async function pack(): Promise<Packed> {
  const folder = await mkdtemp(join(tmpdir(), "roomcast-pack-"));
  stopsWithTest(() => rm(folder, { recursive: true, force: true }));
  await run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], ROOT);
  const tarball = join(folder, `roomcast-${(await manifest()).version}.tgz`);
  const listed = await run("tar", ["-tzf", tarball], folder);
  const files = listed.split("\n").filter((line) => line !== "");
  return { tarball, files: files.map((file) => file.replace(/^package\//, "")).sort() };
}

/** An empty project that has the package, and what the example for TypeScript needs: as ES module and as CommonJS. */
export interface Project {
  readonly folder: string;
  /** The example's scripts, compiled. */
  readonly scripts: { readonly esm: string; readonly cjs: string };
}

/**
 * By `npm install`, or with the dependencies that the package names linked from here: none that it forgot to name is there
 * either, and no registry is asked.
 */
export async function makeProject({ tarball }: Packed, how: "installed" | "linked"): Promise<Project> {
  const folder = await mkdtemp(join(tmpdir(), "roomcast-project-"));
  stopsWithTest(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "project", private: true }));
  if (how === "installed") await install(folder, tarball);
  else await link(folder, tarball);
  for (const name of ["server.mts", "server.cts"]) await cp(EXAMPLE, join(folder, "src", name));
  const compilerOptions = {
    target: "es2024",
    module: "nodenext",
    strict: true,
    // The declared types of the package and of what it uses are compiled too.
    skipLibCheck: false,
    types: ["node"],
    rootDir: "src",
    outDir: "out",
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["src"] }));
  return { folder, scripts: { esm: join(folder, "out/server.mjs"), cjs: join(folder, "out/server.cjs") } };
}

/** Compiles the project; answers what the compiler found wrong, or nothing. */
export async function compile(folder: string): Promise<string> {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const wrapped = `"${process.execPath}" "${tsc}" -p . || true`;
  return (await run("sh", ["-c", wrapped], folder)).trim();
}

async function install(folder: string, tarball: string): Promise<void> {
  const { dependencies, devDependencies } = await manifest();
  const versions = { ...devDependencies, ...dependencies };
  const beside = BESIDE.map((name) => `${name}@${versions[name]}`);
  await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", tarball, ...beside], folder);
}

async function link(folder: string, tarball: string): Promise<void> {
  const modules = join(folder, "node_modules");
  await mkdir(modules);
  await run("tar", ["-xzf", tarball], folder);
  await cp(join(folder, "package"), join(modules, "roomcast"), { recursive: true });
  const { dependencies } = await manifest();
  for (const name of new Set([...Object.keys(dependencies), ...BESIDE])) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(ROOT, "node_modules", name), join(modules, name));
  }
}
