import { debianProgram } from "./debian-packages.ts";
import { ask, onPath } from "./run-command.ts";

/** The oldest major version of Redis that has what Roomcast needs (sharded pub/sub). */
export const OLDEST_REDIS = 7;
const VERSION_TIMEOUT_MS = 5_000;
const DEBIAN_REDIS = { name: "redis", packages: ["redis-server", "redis-tools"], path: "usr/bin/redis-server" };

/** A server program that runs on this machine. */
export interface RedisBinary {
  readonly command: string;
  /** Where its libraries are, if not where the system looks. */
  readonly libraryPath?: string;
  /** For people: what it is and where it comes from. */
  readonly label: string;
}

/** Tells the user one line of what happens. */
export type Say = (line: string) => void;

/** The environment in which a server program finds its libraries. */
export function binaryEnv(libraryPath: string | undefined): NodeJS.ProcessEnv {
  return libraryPath === undefined ? process.env : { ...process.env, LD_LIBRARY_PATH: libraryPath };
}

async function usable(command: string, libraryPath: string | undefined, from: string, say: Say) {
  const version = await ask(command, ["--version"], { timeoutMs: VERSION_TIMEOUT_MS, env: binaryEnv(libraryPath) });
  const match = /(Redis|Valkey) server v=((\d+)[\d.]*)/i.exec(version ?? "");
  if (match === null) {
    say(`${command} does not say its version: passed over`);
    return undefined;
  }
  const [, kind, full, major] = match;
  if (Number(major) < OLDEST_REDIS) {
    say(`${command} is ${kind} ${full}, and Roomcast needs ${OLDEST_REDIS} or newer: passed over`);
    return undefined;
  }
  const binary: RedisBinary = { command, label: `${kind} ${full} ${from}`, ...(libraryPath && { libraryPath }) };
  return binary;
}

/** `redis-server` or `valkey-server` on the PATH, new enough. */
export async function installedRedis(say: Say): Promise<RedisBinary | undefined> {
  for (const name of ["redis-server", "valkey-server"]) {
    const command = await onPath(name);
    const binary = command && (await usable(command, undefined, "of this machine", say));
    if (binary) return binary;
  }
  return undefined;
}

/** Debian's or Ubuntu's own packages, unpacked in the project's cache folder: nothing is installed. */
export async function unpackedRedis(say: Say): Promise<RedisBinary | undefined> {
  const unpacked = await debianProgram(DEBIAN_REDIS, say);
  return unpacked && (await usable(unpacked.command, unpacked.libraryPath, "from Debian's packages, in .cache", say));
}

/** A server program of this machine, else Debian's, unpacked. Nothing where neither can be had. */
export async function findRedisBinary(say: Say): Promise<RedisBinary | undefined> {
  return (await installedRedis(say)) ?? (await unpackedRedis(say));
}
