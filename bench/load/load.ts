import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { endProcess, spawnTied } from "../../src/local/tied-process.ts";
import type { Answer, Command, DropCommand, OpenCommand, Opened, PublishCommand, Published } from "./command.ts";

const WORKER = join(import.meta.dirname, "worker.ts");
/** No command takes longer: what hangs is ended, and said. */
const ANSWER_WITHIN_MS = 180_000;
const STOP_GRACE_MS = 1_000;

/** Clients in a process of their own, so that what they cost is not the servers' cost. */
export class Load {
  readonly #child: ChildProcess;

  constructor() {
    const stdio: ("ignore" | "inherit" | "ipc")[] = ["ignore", "inherit", "inherit", "ipc"];
    this.#child = spawnTied(process.execPath, [WORKER], { stdio, deathSignal: "SIGKILL" });
  }

  open(command: Omit<OpenCommand, "do">): Promise<Opened> {
    return this.#ask({ do: "open", ...command });
  }

  publish(command: Omit<PublishCommand, "do">): Promise<Published> {
    return this.#ask({ do: "publish", ...command });
  }

  drop(group: string, how: DropCommand["how"]): Promise<void> {
    return this.#ask({ do: "drop", group, how });
  }

  async stop(): Promise<void> {
    await endProcess(this.#child, STOP_GRACE_MS);
  }

  async #ask<Result>(command: Command): Promise<Result> {
    return await new Promise((resolve, reject) => {
      const finish = () => {
        clearTimeout(timer);
        this.#child.off("message", hear);
        this.#child.off("exit", gone);
      };
      const hear = (answer: Answer) => {
        finish();
        if (answer.ok) resolve(answer.result as Result);
        else reject(new Error(answer.error));
      };
      const gone = () => {
        finish();
        reject(new Error("the load's process ended"));
      };
      const timer = setTimeout(() => {
        finish();
        reject(new Error(`the load did not finish ${command.do} within ${ANSWER_WITHIN_MS} ms`));
      }, ANSWER_WITHIN_MS);
      this.#child.on("message", hear);
      this.#child.once("exit", gone);
      this.#child.send(command);
    });
  }
}
