import { performance } from "node:perf_hooks";

/** The share of time in which the event loop was busy since it was asked before: 0 to 1. */
export class LoadGauge {
  #before = performance.eventLoopUtilization();

  utilization(): number {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.#before);
    this.#before = now;
    return Math.round(utilization * 1_000) / 1_000;
  }
}
