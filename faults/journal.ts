import { monitorEventLoopDelay } from "node:perf_hooks";
import type { FaultRecord, RequestRecord, SentMessage } from "./observations.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

const MS_IN_NS = 1e6;

/** What is written down while a run goes on. */
export class Journal {
  readonly requests: RequestRecord[] = [];
  readonly sent: Mutable<SentMessage>[] = [];
  readonly faults: FaultRecord[] = [];
  readonly #loop = monitorEventLoopDelay({ resolution: 10 });
  /** By the clock of the nodes' logs, in Unix milliseconds. */
  readonly startedAt = Date.now();
  readonly #start = performance.now();

  constructor() {
    this.#loop.enable();
  }

  /** Milliseconds since the run began. */
  now(): number {
    return performance.now() - this.#start;
  }

  get kitStallMs(): number {
    return this.#loop.max / MS_IN_NS;
  }

  stop(): void {
    this.#loop.disable();
  }
}
