import { parseArgs } from "node:util";
import { SCENARIOS } from "./scenarios/all.ts";
import type { Scenario, Size } from "./scenarios/scenario.ts";

const ROUNDS: Readonly<Record<Size, number>> = { full: 5, quick: 2, tiny: 1 };
const MOST_ROUNDS = 50;

export interface Options {
  readonly size: Size;
  readonly rounds: number;
  readonly scenarios: readonly Scenario[];
  /** Compare with the committed ratios instead of writing new ones. */
  readonly check: boolean;
}

/** Reads the command line. Throws with what to write instead. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      tiny: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      scenario: { type: "string", multiple: true, default: [] },
      rounds: { type: "string" },
    },
  });
  const size: Size = values.tiny ? "tiny" : values.quick ? "quick" : "full";
  const rounds = values.rounds === undefined ? ROUNDS[size] : Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > MOST_ROUNDS) {
    throw new Error(`--rounds must be an integer from 1 to ${MOST_ROUNDS}`);
  }
  const names = SCENARIOS.map(({ name }) => name);
  const unknown = values.scenario.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`--scenario ${unknown}: there are ${names.join(", ")}`);
  const scenarios = SCENARIOS.filter(({ name }) => values.scenario.length === 0 || values.scenario.includes(name));
  return { size, rounds, scenarios, check: values.check };
}
