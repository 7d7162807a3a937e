import { parseArgs } from "node:util";
import { BREAKS, type Break } from "./broken-build.ts";
import type { Target } from "./run.ts";
import { SCENARIOS } from "./scenarios.ts";

const DEFAULT_SECONDS = "20";
const DEFAULT_CLIENTS = "60";
const BOUNDS = { seconds: [4, 3_600], clients: [2, 500], seed: [0, 2 ** 31] } as const;

export const USAGE = `npm run faults -- [--scenario all] [--seed 1] [--target roomcast] [--seconds ${DEFAULT_SECONDS}] [--clients ${DEFAULT_CLIENTS}]
  --scenario  ${Object.keys(SCENARIOS).join(", ")}, several of them by comma, or all
  --seed      a whole number, or several by comma: the same seed draws the same faults
  --target    roomcast, or stock: plain Socket.IO with @socket.io/redis-adapter
  --seconds   how long load and faults last in each run; several seconds of settling follow
  --clients   how many stock clients there are
  --break     ${Object.keys(BREAKS).join(", ")}: a copy of the build with that fault, which must be found
  --results   a file to which each run's result is added, one JSON line each
  --write     a page in which the tables of all results in --results are written; without --scenario nothing is run`;

/** A mistake in the arguments: one sentence. */
export class OptionError extends Error {
  override readonly name = "OptionError";
}

export interface Options {
  readonly scenarios: readonly string[];
  readonly seeds: readonly number[];
  readonly target: Target;
  readonly seconds: number;
  readonly clients: number;
  readonly broken: Break | undefined;
  readonly results: string | undefined;
  readonly page: string | undefined;
}

/** Reads the command's arguments. Throws `OptionError` naming the one that is wrong. */
export function readOptions(args: readonly string[]): Options {
  const values = parse(args);
  const { target, results, write: page } = values;
  if (target !== "roomcast" && target !== "stock") throw new OptionError("--target must be roomcast or stock");
  if (page !== undefined && results === undefined)
    throw new OptionError("--write needs --results: a page shows what was recorded");
  const broken = values.break;
  if (broken !== undefined && !isBreak(broken)) {
    throw new OptionError(`--break must be one of ${Object.keys(BREAKS).join(", ")}`);
  }
  if (broken !== undefined && target === "stock") throw new OptionError("--break is for --target roomcast");
  return {
    scenarios: scenariosOf(values.scenario ?? (page === undefined ? "all" : "")),
    seeds: values.seed.split(",").map((seed) => whole("seed", seed)),
    target,
    seconds: whole("seconds", values.seconds),
    clients: whole("clients", values.clients),
    broken,
    results,
    page,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        scenario: { type: "string" },
        seed: { type: "string", default: "1" },
        target: { type: "string", default: "roomcast" },
        seconds: { type: "string", default: DEFAULT_SECONDS },
        clients: { type: "string", default: DEFAULT_CLIENTS },
        break: { type: "string" },
        results: { type: "string" },
        write: { type: "string" },
      },
    }).values;
  } catch (error) {
    throw new OptionError(error instanceof Error ? error.message : String(error));
  }
}

function scenariosOf(text: string): string[] {
  if (text === "") return [];
  const names = text === "all" ? Object.keys(SCENARIOS) : text.split(",");
  const unknown = names.find((name) => !Object.hasOwn(SCENARIOS, name));
  if (unknown === undefined) return names;
  throw new OptionError(`--scenario ${unknown} is not one of ${Object.keys(SCENARIOS).join(", ")}, or all`);
}

function whole(name: keyof typeof BOUNDS, text: string): number {
  const [least, most] = BOUNDS[name];
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new OptionError(`--${name} must be a whole number from ${least} to ${most}, and is ${JSON.stringify(text)}`);
}

function isBreak(name: string): name is Break {
  return Object.hasOwn(BREAKS, name);
}
