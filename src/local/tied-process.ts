import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";

const SETPRIV = "/usr/bin/setpriv";

/** What `deathSignal` is for each child that still runs: nothing outlives this process, however it exits. */
const running = new Map<ChildProcess, NodeJS.Signals>();
process.once("exit", () => {
  for (const [child, signal] of running) child.kill(signal);
});

let tiesByKernel: boolean | undefined;

/** Whether this machine has util-linux' setpriv; BusyBox has one of the same name that cannot do it. */
function canTieByKernel(): boolean {
  tiesByKernel ??=
    process.platform === "linux" && String(spawnSync(SETPRIV, ["--help"]).stdout).includes("--pdeathsig");
  return tiesByKernel;
}

interface TiedOptions extends SpawnOptions {
  /** What it receives when this process is gone. */
  readonly deathSignal: "SIGTERM" | "SIGKILL";
}

/**
 * Starts a process that does not outlive this one: when this one exits, and, where the kernel offers it (Linux, by
 * util-linux' setpriv, which execs: the pid is that of the command), also when it is killed with SIGKILL.
 */
export function spawnTied(command: string, args: readonly string[], { deathSignal, ...options }: TiedOptions) {
  const child = canTieByKernel()
    ? spawn(SETPRIV, ["--pdeathsig", deathSignal.slice("SIG".length), "--", command, ...args], options)
    : spawn(command, args, options);
  running.set(child, deathSignal);
  child.once("exit", () => running.delete(child));
  return child;
}

/** Resolves once the process has ended, also when it never started. */
export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  await new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
  });
}

/** Asks a process to end, and makes it end `graceMs` later. Resolves once it has. */
export async function endProcess(child: ChildProcess, graceMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  const force = setTimeout(() => child.kill("SIGKILL"), graceMs);
  await ended(child);
  clearTimeout(force);
}
