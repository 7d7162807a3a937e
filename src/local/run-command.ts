import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";

/**
 * Runs a program to its end and returns what it wrote on stdout, or nothing where it is missing, failed, or took longer
 * than `timeoutMs`: for asking things of the machine, where every failure means "not here".
 */
export async function ask(
  command: string,
  args: readonly string[],
  options: { timeoutMs: number; cwd?: string; env?: NodeJS.ProcessEnv },
): Promise<string | undefined> {
  return await new Promise((resolve) => {
    execFile(
      command,
      [...args],
      {
        timeout: options.timeoutMs,
        killSignal: "SIGKILL",
        cwd: options.cwd,
        env: options.env,
        maxBuffer: 16 * 1024 * 1024,
      },
      (error, stdout) => resolve(error === null ? stdout : undefined),
    );
  });
}

/** The full path of a program on the PATH. */
export async function onPath(name: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(folder || ".", name);
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return undefined;
}
