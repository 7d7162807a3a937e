import type { ContenderName } from "./contenders/contender.ts";
import { besides, type Measurement } from "./measurement.ts";
import { ratioOf, type Spread, spreadOf } from "./statistics.ts";

/** A figure that goals and the regression check compare; less is better. */
export interface Figure {
  /** Such as `room K=1 beside sharded`. */
  readonly name: string;
  readonly spread: Spread;
}

/** What Roomcast should take at most: beside another one, in itself, or beside the same with fewer rooms. */
export interface Goal {
  readonly what: string;
  /** The figure's name. */
  readonly figure: string;
  readonly atMost: number;
  readonly unit?: string;
}

/** The most that counts as flat: what machines vary by anyway. */
const FLAT = 1.2;
/** 0.9 of the other's joins a second and core, as CPU a join. */
const JOIN_COST = 1 / 0.9;

export const GOALS: readonly Goal[] = [
  {
    what: "CPU per delivery, room of 300, K=1, beside Socket.IO + sharded adapter",
    figure: "room K=1 beside sharded",
    atMost: 0.7,
  },
  { what: "the same at K=10", figure: "room K=10 beside sharded", atMost: 0.15 },
  { what: "CPU per delivery at K=1, beside a bare `ws` loop", figure: "room K=1 beside ws", atMost: 1 },
  { what: "the same at K=10", figure: "room K=10 beside ws", atMost: 0.2 },
  {
    what: "CPU per message over 3 nodes, rooms of 3, beside the sharded adapter",
    figure: "small beside sharded",
    atMost: 0.75,
  },
  { what: "the same beside the streams adapter", figure: "small beside streams", atMost: 0.6 },
  ...["latency 3 nodes", "latency"].flatMap((prefix) =>
    ["even p50", "even p99", "random p50", "random p99"].map((which) => ({
      what: `${prefix === "latency" ? "latency, one node" : prefix}, ${which.replace(" ", " arrivals, ")}, beside the sharded adapter`,
      figure: `${prefix} ${which} beside sharded`,
      atMost: 1,
    })),
  ),
  { what: "memory per joined client, beside the sharded adapter", figure: "memory beside sharded", atMost: 1 },
  {
    what: "CPU per connect, authenticate and join, beside the sharded adapter's connect and join (0.9 of its joins per second and core)",
    figure: "join beside sharded",
    atMost: JOIN_COST,
  },
  { what: "messages that a node without members is sent", figure: "idle-node", atMost: 0, unit: "" },
  { what: "event loop held by a message to a very large room", figure: "huge", atMost: 50, unit: " ms" },
  { what: "cost of a message with the most rooms, beside that with the fewest", figure: "growth", atMost: FLAT },
];

/** Of these, Roomcast's own values are figures. */
const ABSOLUTE = ["idle-node", "huge"];
const GROWTH = "growth rooms=";

function growth(measurements: readonly Measurement[], one: ContenderName): Figure[] {
  const steps = measurements.filter(({ key }) => key.startsWith(GROWTH));
  const [first, last] = [steps[0]?.values[one], steps.at(-1)?.values[one]];
  return first === undefined || last === undefined || steps.length < 2
    ? []
    : [{ name: "growth", spread: ratioOf(last, first) }];
}

/** What `one` takes beside each of the others, under the names of Roomcast's figures. */
function ratiosOf(measurements: readonly Measurement[], one: ContenderName): Figure[] {
  return measurements.flatMap((measurement) =>
    (Object.keys(measurement.values) as ContenderName[])
      .filter((other) => other !== one)
      .flatMap((other) => {
        const spread = besides(measurement, other, one);
        return spread === undefined ? [] : [{ name: `${measurement.key} beside ${other}`, spread }];
      }),
  );
}

/** The same of the floor: what is below it is out of reach. */
export function floorsOf(measurements: readonly Measurement[]): Figure[] {
  return [...ratiosOf(measurements, "floor"), ...growth(measurements, "floor")];
}

/** Every ratio and value that these measurements give. Those that cannot be told (nothing by nothing) are left out. */
export function figuresOf(measurements: readonly Measurement[]): Figure[] {
  const ratios = ratiosOf(measurements, "roomcast");
  const own = measurements.flatMap(({ key, values }) =>
    ABSOLUTE.includes(key) && values.roomcast ? [{ name: key, spread: spreadOf(values.roomcast) }] : [],
  );
  return [...ratios, ...own, ...growth(measurements, "roomcast")].filter(({ spread }) =>
    Number.isFinite(spread.median),
  );
}
