import { createInterface } from "node:readline";
import { ended, endProcess, spawnTied } from "../../src/local/tied-process.ts";
import { eventually } from "./eventually.ts";
import { stopsWithTest } from "./teardown.ts";

const WITHIN_MS = 20_000;
const STOP_GRACE_MS = 5_000;

/** A program as users run it, and what it printed. */
export interface Program {
  readonly lines: readonly string[];
  /** Waits until it prints a line that fits, and answers the match; rejects where it ends before. */
  until(line: RegExp): Promise<RegExpExecArray>;
  /** SIGTERM, and SIGKILL where that is not enough; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** `kill -9`, at once. */
  kill(): Promise<void>;
  /** Resolves with the exit code, once it ended by itself. */
  readonly done: Promise<number | null>;
}

/** Starts a program (a script for this Node, or `command` with its arguments). Stops with the test that called it. */
export function startProgram(
  args: readonly string[],
  { command = process.execPath, cwd, env = {} }: { command?: string; cwd?: string; env?: Record<string, string> } = {},
): Program {
  const child = spawnTied(command, args, {
    ...(cwd !== undefined && { cwd }),
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    deathSignal: "SIGKILL",
  });
  const lines: string[] = [];
  child.once("error", (error) => lines.push(error.message));
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on("line", (line) => lines.push(line));
  }
  const stop = async () => {
    await endProcess(child, STOP_GRACE_MS);
    return child.exitCode;
  };
  stopsWithTest(async () => {
    await stop();
  });
  return {
    lines,
    until: (line) =>
      eventually(
        () => {
          for (const text of lines) {
            const match = line.exec(text);
            if (match !== null) return match;
          }
          throw new Error(`${args.join(" ")} did not print ${line}, but:\n${lines.join("\n")}`);
        },
        { withinMs: WITHIN_MS },
      ),
    stop,
    kill: async () => {
      child.kill("SIGKILL");
      await ended(child);
    },
    done: ended(child).then(() => child.exitCode),
  };
}
