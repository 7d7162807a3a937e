import { readdirSync, readFileSync } from "node:fs";

/** Ticks a second of the times in /proc/<pid>/stat: USER_HZ, the same on every Linux. */
const TICKS_PER_SECOND = 100;
const NANOSECONDS = 1e9;

/** Seconds of CPU, user and system, by the text of /proc/<pid>/stat. The process' name may have spaces and brackets. */
export function parseStat(text: string): number {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [user, system] = [fields[11], fields[12]];
  const ticks = Number(user) + Number(system);
  if (Number.isNaN(ticks)) throw new Error(`not the text of a /proc/<pid>/stat: ${text.slice(0, 80)}`);
  return ticks / TICKS_PER_SECOND;
}

/** Seconds of CPU by the text of /proc/<pid>/task/<tid>/schedstat; undefined where the kernel does not count them. */
export function parseSchedstat(text: string): number | undefined {
  const nanoseconds = Number(text.split(" ")[0]);
  return nanoseconds > 0 ? nanoseconds / NANOSECONDS : undefined;
}

/** By the scheduler's own account, which counts nanoseconds where `stat` rounds to ticks. */
function bySchedstat(pid: number): number | undefined {
  let seconds = 0;
  try {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const ran = parseSchedstat(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8"));
      if (ran !== undefined) seconds += ran;
    }
  } catch {
    return undefined;
  }
  return seconds > 0 ? seconds : undefined;
}

/** Seconds of CPU, user and system, that a process has taken so far, by the operating system's accounting. */
export function cpuSeconds(pid: number): number {
  return bySchedstat(pid) ?? parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

/** Bytes of memory that a process has resident now. */
export function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  if (match === null) throw new Error(`/proc/${pid}/status has no VmRSS`);
  return Number(match[1]) * 1_024;
}

/** What several processes take together while `work` runs, in seconds of CPU, with what `work` came to. */
export async function cpuDuring<T>(
  pids: readonly number[],
  work: () => Promise<T>,
): Promise<{ seconds: number; result: T }> {
  const total = () => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const before = total();
  const result = await work();
  return { seconds: total() - before, result };
}
