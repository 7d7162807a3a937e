import type { ContenderName } from "./contenders/contender.ts";
import type { Figure, Goal } from "./goals.ts";
import { besides, type Measurement } from "./measurement.ts";
import { type Spread, spreadOf } from "./statistics.ts";

const LARGE = 100;
const MIDDLING = 10;

/** A figure with as many digits as it deserves. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "–";
  return value.toFixed(value >= LARGE ? 0 : value >= MIDDLING ? 1 : 2);
}

/** `0.71 (0.65–0.80)`: the median, and the least and the most. */
export function withSpread({ median, min, max }: Spread): string {
  return `${figure(median)} (${figure(min)}–${figure(max)})`;
}

/** A table of Markdown that is readable as text, too. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, column) => (cells[column] ?? "").padEnd(width)).join(" | ")} |`;
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

/** One measurement: a row for each contender, with what Roomcast takes beside it. */
export function measurementTable(measurement: Measurement): string {
  const { what, unit, values } = measurement;
  const rows = (Object.keys(values) as ContenderName[]).map((name) => {
    const ratio = name === "roomcast" ? undefined : besides(measurement, name);
    const beside = ratio === undefined || !Number.isFinite(ratio.median) ? "" : withSpread(ratio);
    return [name, withSpread(spreadOf(values[name] ?? [])), beside];
  });
  return table(
    [what, unit === "" ? "median (least–most)" : `${unit}, median (least–most)`, "Roomcast beside it"],
    rows,
  );
}

/** Each goal beside what was measured, of Roomcast and of the floor. */
export function goalTable(goals: readonly Goal[], figures: readonly Figure[], floors: readonly Figure[]): string {
  const rows = goals.map(({ what, figure: name, atMost, unit = "" }) => {
    const measured = figures.find((candidate) => candidate.name === name)?.spread;
    const goal = atMost === 0 ? "none" : `≤ ${figure(atMost)}${unit}`;
    const floor = floors.find((candidate) => candidate.name === name)?.spread;
    const least = floor === undefined ? "" : withSpread(floor);
    if (measured === undefined) return [what, goal, "not measured", "", least];
    return [what, goal, `${withSpread(measured)}${unit}`, measured.median <= atMost ? "yes" : "no", least];
  });
  return table(["what", "goal", "measured (least–most)", "met", "the floor"], rows);
}
