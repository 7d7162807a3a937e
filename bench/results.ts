import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Measurement } from "./measurement.ts";

const FILE = join(import.meta.dirname, "results.json");
/** Digits that are kept: more is noise. */
const DIGITS = 4;

/** What one scenario came to, in one go on one machine. */
export interface Result {
  /** The day, as `2026-01-31`. */
  readonly date: string;
  readonly machine: string;
  readonly rounds: number;
  /** What was done, for people. */
  readonly description: string;
  readonly notes: readonly string[];
  /** What each contender is, with its version. */
  readonly versions: Readonly<Record<string, string>>;
  readonly measurements: readonly Measurement[];
}

/** By the scenario's name. */
export type Results = Readonly<Record<string, Result>>;

/** The committed results; none where there is no file yet. */
export function readResults(): Results {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, "utf8")) as Results) : {};
}

export function writeResults(results: Results): void {
  const round = (_key: string, value: unknown) =>
    typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value;
  writeFileSync(FILE, `${JSON.stringify(results, round, 2)}\n`);
}
