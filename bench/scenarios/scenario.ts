import type { Contender, ContenderName, Running, StartOptions } from "../contenders/contender.ts";
import { Load } from "../load/load.ts";
import type { Measurement } from "../measurement.ts";

/** `full` for docs/benchmarks.md, `quick` for a first look, `tiny` to see that everything works: its figures say nothing. */
export type Size = "full" | "quick" | "tiny";

/** What a scenario may use. */
export interface Bench {
  readonly size: Size;
  /** How often each contender has its turn. */
  readonly rounds: number;
  /** Those of the named contenders that are to be had here, in this order. */
  contenders(names: readonly ContenderName[]): readonly Contender[];
  /** One line of progress. */
  say(line: string): void;
  /** Something that must be read beside the figures. */
  note(line: string): void;
}

export interface Scenario {
  readonly name: string;
  /** For people, above the table: what is done, with its numbers. */
  describe(size: Size): string;
  run(bench: Bench): Promise<readonly Measurement[]>;
}

/** A contender that runs, with a load of its own. */
export interface Party {
  readonly contender: Contender;
  readonly running: Running;
  readonly load: Load;
}

/** Starts the contenders, one after the other, and ends them all when `work` is done, however. */
export async function withParties<T>(
  contenders: readonly Contender[],
  options: StartOptions,
  work: (parties: readonly Party[]) => Promise<T>,
): Promise<T> {
  const parties: Party[] = [];
  try {
    for (const contender of contenders) {
      parties.push({ contender, running: await contender.start(options), load: new Load() });
    }
    return await work(parties);
  } finally {
    await Promise.all(parties.flatMap(({ running, load }) => [load.stop(), running.stop()]));
  }
}

/** Every contender has its turn, round after round, each time in the other direction: A B B A. */
export async function inTurns(
  rounds: number,
  parties: readonly Party[],
  turn: (party: Party, round: number) => Promise<void>,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? parties : parties.toReversed();
    for (const party of order) await turn(party, round);
  }
}
