import { execFile } from "node:child_process";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { describe } from "vitest";
import { debianProgram } from "../../src/local/debian-packages.ts";
import { binaryEnv } from "../../src/local/redis-binary.ts";
import { onPath } from "../../src/local/run-command.ts";

const run = promisify(execFile);

export interface PrometheusPrograms {
  readonly prometheus: string;
  /** Resolves with what promtool said; rejects where it finds anything wrong. */
  promtool(...args: string[]): Promise<string>;
  /** The same with `input` on its stdin. */
  promtoolReading(input: string, ...args: string[]): Promise<string>;
  readonly env: NodeJS.ProcessEnv;
}

async function programs(): Promise<PrometheusPrograms | undefined> {
  const installed = await onPath("promtool");
  const unpacked =
    installed === undefined
      ? await debianProgram({ name: "prometheus", packages: ["prometheus"], path: "usr/bin/promtool" }, () => undefined)
      : undefined;
  const command = installed ?? unpacked?.command;
  if (command === undefined) return undefined;
  const env = binaryEnv(unpacked?.libraryPath);
  const promtoolReading = async (input: string, ...args: string[]) => {
    const done = run(command, args, { env });
    done.child.stdin?.end(input);
    const { stdout, stderr } = await done;
    return stdout + stderr;
  };
  return {
    prometheus: `${dirname(command)}/prometheus`,
    promtoolReading,
    promtool: (...args) => promtoolReading("", ...args),
    env,
  };
}

const found = await programs();

/** `describe` for tests that need Prometheus' own programs: skipped, with the reason in the title, where none can be had. */
export function describeWithPrometheus(title: string, tests: (programs: PrometheusPrograms) => void): void {
  if (found !== undefined) describe(title, () => tests(found));
  else describe.skip(`${title} (skipped: neither promtool here nor Debian's package)`, () => undefined);
}
