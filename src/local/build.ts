import { spawnSync } from "node:child_process";
import { join } from "node:path";

/** Makes dist/ where it is not what the sources are; false where that failed, and the compiler has said why. */
export function buildIfStale(): boolean {
  const script = join(import.meta.dirname, "../../scripts/build.mjs");
  return spawnSync(process.execPath, [script, "--if-stale"], { stdio: "inherit" }).status === 0;
}
