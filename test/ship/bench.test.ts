import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
/** The first run installs the peers. */
const INSTALL_AND_RUN_MS = 10 * 60_000;

describe("npm run bench", () => {
  it(
    "sets its peers up, measures and prints; figures of its smallest size say nothing, and change no page",
    () => {
      const args = ["run", "bench", "--", "--tiny", "--scenario=room", "--scenario=join"];
      const { status, stdout, stderr } = spawnSync("npm", args, { cwd: ROOT, encoding: "utf8" });
      expect(status, stderr).toBe(0);
      for (const peer of ["roomcast", "sharded", "classic", "streams", "ws", "floor"]) {
        expect(stdout).toMatch(new RegExp(`^\\| ${peer} +\\| [\\d.]+ `, "m"));
      }
      expect(stdout).not.toContain("written:");
    },
    INSTALL_AND_RUN_MS,
  );
});
