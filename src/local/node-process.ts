import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { ended, endProcess, spawnTied } from "./tied-process.ts";

/** What `npm run build` makes and production runs. */
export const NODE_SCRIPT = join(import.meta.dirname, "../../dist/main.js");
const READY_INTERVAL_MS = 50;
const PROBE_TIMEOUT_MS = 2_000;

/** One Roomcast node as a process of its own, as in production. */
export interface NodeProcess {
  readonly name: string;
  readonly port: number;
  readonly adminPort: number;
  readonly pid: number;
  /** Resolves with how it ended, for people: `exit code 1`, `SIGKILL`. */
  readonly ended: Promise<string>;
  isAlive(): boolean;
  /** Whether `/readyz` says yes, now. */
  isReady(): Promise<boolean>;
  /** Waits for `/readyz`; false when it ended or `withinMs` passed. */
  untilReady(withinMs: number): Promise<boolean>;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL `graceMs` later; resolves once it has ended. */
  stop(graceMs: number): Promise<void>;
}

interface NodeOptions {
  readonly name: string;
  readonly port: number;
  readonly adminPort: number;
  readonly env: Readonly<Record<string, string>>;
  /** Receives each line of the node's stdout and stderr. */
  readonly onLine: (line: string) => void;
  readonly script?: string;
  /** What it receives when this process is gone; a node that is stopped (SIGSTOP) hears no SIGTERM. SIGTERM by default. */
  readonly deathSignal?: "SIGTERM" | "SIGKILL";
}

function howItEnded(child: ChildProcess): string {
  if (child.pid === undefined) return "never started";
  return child.signalCode ?? `exit code ${child.exitCode}`;
}

/** Starts `node dist/main.js` on loopback with this process's environment and `env` on top. */
export function startNode(options: NodeOptions): NodeProcess {
  const { name, port, adminPort } = options;
  const child = spawnTied(process.execPath, ["--enable-source-maps", options.script ?? NODE_SCRIPT], {
    stdio: ["ignore", "pipe", "pipe"],
    deathSignal: options.deathSignal ?? "SIGTERM",
    // A group of its own: Ctrl-C reaches the parent alone, which then ends everything in order.
    detached: true,
    env: {
      // As the image has it.
      MALLOC_ARENA_MAX: "1",
      ...process.env,
      HOST: "127.0.0.1",
      ...options.env,
      NODE_NAME: name,
      PORT: String(port),
      ADMIN_PORT: String(adminPort),
    },
  });
  child.once("error", (error) => options.onLine(error.message));
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on("line", options.onLine);
  }
  const isAlive = () => child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  const isReady = async () => {
    const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
    try {
      const answer = await fetch(`http://127.0.0.1:${adminPort}/readyz`, { signal });
      await answer.arrayBuffer();
      return answer.ok;
    } catch {
      return false;
    }
  };
  return {
    name,
    port,
    adminPort,
    pid: child.pid ?? 0,
    ended: ended(child).then(() => howItEnded(child)),
    isAlive,
    isReady,
    async untilReady(withinMs) {
      const deadline = Date.now() + withinMs;
      while (isAlive() && Date.now() < deadline) {
        if (await isReady()) return true;
        await delay(READY_INTERVAL_MS);
      }
      return false;
    },
    kill(signal) {
      child.kill(signal);
    },
    stop: (graceMs) => endProcess(child, graceMs),
  };
}
