import { mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Say } from "./redis-binary.ts";
import { ask, onPath } from "./run-command.ts";

const CACHE = join(import.meta.dirname, "../../.cache");
const QUERY_TIMEOUT_MS = 20_000;
const NETWORK_TIMEOUT_MS = 60_000;
/** As root, apt would change to a user who cannot write here. */
const AS_WE_ARE = ["-o", "APT::Sandbox::User=root"];
const TOOLS = ["apt-get", "apt-cache", "dpkg", "dpkg-query", "ldd"];

/** A program of the distribution. */
export interface DebianProgram {
  /** For people, and the folder under `.cache`. */
  readonly name: string;
  /** The packages that it is in. */
  readonly packages: readonly string[];
  /** Where it is in them, such as `usr/bin/redis-server`. */
  readonly path: string;
}

/** A program unpacked from packages, with the folders of the libraries that came with it. */
export interface Unpacked {
  readonly command: string;
  readonly libraryPath: string;
}

async function libraryFolders(root: string): Promise<string> {
  const triplets = await readdir(join(root, "usr/lib")).catch(() => []);
  return ["usr/lib", "lib"].flatMap((lib) => triplets.map((triplet) => join(root, lib, triplet))).join(":");
}

async function unpackedIn(root: string, { path }: DebianProgram): Promise<Unpacked | undefined> {
  // In redis-tools /usr/bin/redis-server is a link to redis-check-rdb, or the other way round, by release: stat follows.
  const command = join(root, path);
  const there = await stat(command).catch(() => undefined);
  return there === undefined ? undefined : { command, libraryPath: await libraryFolders(root) };
}

/**
 * Fresh lists in a folder of ours, for machines whose own are missing (container images) or so old that what they name is
 * gone; returns the options that make apt use them. Debug::NoLocking lets it do so without root.
 */
async function freshLists(folder: string): Promise<string[]> {
  await mkdir(join(folder, "lists/partial"), { recursive: true });
  await mkdir(join(folder, "cache/archives/partial"), { recursive: true });
  const places = ["-o", `Dir::State::lists=${join(folder, "lists")}`, "-o", `Dir::Cache=${join(folder, "cache")}`];
  const options = [...places, ...AS_WE_ARE, "-o", "Debug::NoLocking=1"];
  await ask("apt-get", [...options, "-q", "update"], { timeoutMs: NETWORK_TIMEOUT_MS });
  return options;
}

/** What these packages depend on (`deep`: all the way down), as far as it is a library that is not installed. */
async function missingLibraries(apt: readonly string[], packages: readonly string[], deep: boolean): Promise<string[]> {
  const kinds = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"].map((kind) => `--no-${kind}`);
  const depends = await ask("apt-cache", [...apt, "depends", ...(deep ? ["--recurse"] : []), ...kinds, ...packages], {
    timeoutMs: QUERY_TIMEOUT_MS,
  });
  const installed = await ask("dpkg-query", ["-W"], { timeoutMs: QUERY_TIMEOUT_MS });
  const have = new Set((installed ?? "").split("\n").map((line) => line.split(/[:\t]/)[0]));
  const named = [...(depends ?? "").matchAll(/^(?:[ |]*Depends: )?([a-z0-9][a-z0-9+.-]*)$/gm)].map(
    (match) => match[1] ?? "",
  );
  return [...new Set(named)].filter((name) => name.startsWith("lib") && !have.has(name));
}

async function download(apt: readonly string[], names: readonly string[], folder: string): Promise<boolean> {
  const done = await ask("apt-get", [...apt, ...AS_WE_ARE, "-q", "download", ...names], {
    timeoutMs: NETWORK_TIMEOUT_MS,
    cwd: folder,
  });
  if (done === undefined) return false;
  for (const file of await readdir(folder)) {
    if (!file.endsWith(".deb")) continue;
    await ask("dpkg", ["-x", join(folder, file), join(folder, "root")], { timeoutMs: QUERY_TIMEOUT_MS });
  }
  return true;
}

/** Downloads and unpacks into the folder: what is named first, and if a library is still missing, all the way down. */
async function fetchInto(
  folder: string,
  apt: readonly string[],
  program: DebianProgram,
): Promise<Unpacked | undefined> {
  const { packages } = program;
  for (const deep of [false, true]) {
    if (!(await download(apt, [...packages, ...(await missingLibraries(apt, packages, deep))], folder)))
      return undefined;
    const unpacked = await unpackedIn(join(folder, "root"), program);
    if (unpacked === undefined) return undefined;
    const env = { ...process.env, LD_LIBRARY_PATH: unpacked.libraryPath };
    const libraries = await ask("ldd", [unpacked.command], { timeoutMs: QUERY_TIMEOUT_MS, env });
    if (libraries !== undefined && !libraries.includes("not found")) return unpacked;
  }
  return undefined;
}

/**
 * A program of the distribution, downloaded once (a few seconds, a few MB) and unpacked under `.cache`. Needs no root and
 * touches nothing of the system. Nothing where there is no apt, no network, or no such package.
 */
export async function debianProgram(program: DebianProgram, say: Say): Promise<Unpacked | undefined> {
  const { name } = program;
  const cache = join(CACHE, name);
  const final = join(cache, "root");
  const cached = await unpackedIn(final, program);
  if (cached !== undefined) return cached;
  for (const tool of TOOLS) if ((await onPath(tool)) === undefined) return undefined;

  say(`no ${name} here: unpacking Debian's into .cache/${name} (once, nothing is installed)`);
  let work: string;
  try {
    await mkdir(cache, { recursive: true });
    work = await mkdtemp(join(cache, "work-"));
  } catch (error) {
    say(`Debian's ${name} has no place in .cache: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
  try {
    if (
      ((await fetchInto(work, [], program)) ?? (await fetchInto(work, await freshLists(work), program))) === undefined
    ) {
      say(`Debian's ${name} could not be had by apt-get download`);
      return undefined;
    }
    // Somebody else may have been faster: theirs is as good.
    await rename(join(work, "root"), final).catch(() => undefined);
    return await unpackedIn(final, program);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
