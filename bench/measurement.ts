import type { ContenderName } from "./contenders/contender.ts";
import { ratioOf, type Spread } from "./statistics.ts";

/** One thing measured of several contenders in turns. Less is better, whatever it is. */
export interface Measurement {
  /** Unique in the run, such as `room K=1`: goals and the regression check go by it. */
  readonly key: string;
  /** For people, such as `CPU per delivery`. */
  readonly what: string;
  readonly unit: string;
  /** For each contender one value a round, in the order of the rounds. */
  readonly values: Readonly<Partial<Record<ContenderName, readonly number[]>>>;
}

/** Collects values by contender in the order in which they come. */
export class Rounds {
  readonly #values: Partial<Record<ContenderName, number[]>> = {};

  add(contender: ContenderName, value: number): void {
    const values = this.#values[contender] ?? [];
    values.push(value);
    this.#values[contender] = values;
  }

  measurement(key: string, what: string, unit: string): Measurement {
    return { key, what, unit, values: this.#values };
  }
}

/** What Roomcast, or `one`, takes beside another one, as a ratio; undefined where one of the two was not measured. */
export function besides(
  measurement: Measurement,
  other: ContenderName,
  one: ContenderName = "roomcast",
): Spread | undefined {
  const { [one]: ours, [other]: theirs } = measurement.values;
  return ours === undefined || theirs === undefined ? undefined : ratioOf(ours, theirs);
}
