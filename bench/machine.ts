import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";

const GIB = 1024 ** 3;

function distribution(): string {
  try {
    const match = /^PRETTY_NAME="(.*)"$/m.exec(readFileSync("/etc/os-release", "utf8"));
    return match?.[1] ?? "Linux";
  } catch {
    return process.platform;
  }
}

/** What the figures were measured on, in one line. */
export function machine(): string {
  const processors = cpus();
  const memory = `${(totalmem() / GIB).toFixed(0)} GiB`;
  return `${processors.length} × ${processors[0]?.model.trim() ?? "unknown"}, ${memory}, ${distribution()}, kernel ${release()}`;
}
