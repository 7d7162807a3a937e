import { describeFault } from "./fault.ts";
import type { ClientRecord, Seen, Violation } from "./observations.ts";
import type { Run } from "./run.ts";
import type { Verdict } from "./verdict.ts";

/** What a failure shows around its first violation, in milliseconds before and after. */
const AROUND_MS = 1_500;
const SHOWN_VIOLATIONS = 10;
const SHOWN_EVENTS = 30;
const SHOWN_LINES = 15;
/** Errors have whole stacks in their lines. */
const LINE_CHARACTERS = 240;

interface Columns {
  readonly target: string;
  readonly scenario: string;
  readonly seed: number;
  readonly verdict: Omit<Verdict, "violations">;
}

const HEADER = [
  "scenario",
  "seed",
  "acknowledged",
  "not stored",
  "delivered %",
  "doubled",
  "out of order",
  "told",
  "presence wrong",
  "not back",
  "late answers",
  "recovery p50 / p99",
] as const;

/** A share in percent, which says 100.000 only where nothing is missing. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return "–";
  const rounded = ((100 * part) / whole).toFixed(3);
  return rounded === "100.000" && part < whole ? "99.999" : rounded;
}

function cells({ target, scenario, seed, verdict }: Columns): string[] {
  const { recovery } = verdict;
  // A stock node has no log, numbers nothing, and shows no presence: there is nothing to say of these.
  const ofLog = (value: number) => (target === "stock" ? "–" : String(value));
  return [
    scenario,
    String(seed),
    String(verdict.acknowledged),
    ofLog(verdict.notStored),
    percent(verdict.arrived, verdict.due),
    String(verdict.doubled),
    String(verdict.outOfOrder),
    ofLog(verdict.told),
    ofLog(verdict.presenceWrong),
    String(verdict.notBack),
    String(verdict.notAnswered),
    recovery.count === 0 ? "–" : `${seconds(recovery.p50Ms)} / ${seconds(recovery.p99Ms)}`,
  ];
}

/** The table for a terminal: a title line, then one line a run. */
export function tableLines(rows: readonly Columns[]): string[] {
  const lines = [[...HEADER], ...rows.map(cells)];
  const widths = HEADER.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  return lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** The same in Markdown; `skipped` are scenarios that were left out, and why. */
export function tableMarkdown(rows: readonly Columns[], skipped: readonly { scenario: string; why: string }[]): string {
  const lines = rows.map((row) => `| ${cells(row).join(" | ")} |`);
  for (const { scenario, why } of skipped)
    lines.push(`| ${scenario} | | left out: ${why} |${" |".repeat(HEADER.length - 3)}`);
  return [`| ${HEADER.join(" | ")} |`, `|${" --- |".repeat(HEADER.length)}`, ...lines].join("\n");
}

/** Everything that helps to find out what happened: the violations, the timeline, and what each side saw around the first one. */
export function failureLines(run: Run, { violations }: Verdict): string[] {
  const [first] = violations;
  if (first === undefined) return [];
  const others = violations.length - SHOWN_VIOLATIONS;
  return [
    "violations, in their order:",
    ...violations.slice(0, SHOWN_VIOLATIONS).map((violation) => `  ${violationLine(violation)}`),
    ...(others > 0 ? [`  and ${others} more`] : []),
    "timeline of the faults:",
    ...run.observed.faults.map(
      ({ fault, from, until }) =>
        `  ${moment(from)} … ${until === undefined ? "never over" : moment(until)}  ${describeFault(fault)}`,
    ),
    `what each side saw around ${moment(first.at)}:`,
    ...sides(run, first),
  ];
}

function sides(run: Run, { at, client, room }: Violation): string[] {
  const { clients } = run.observed;
  const chosen = clients.filter(
    ({ name, rooms }) => name === client || (client === undefined && room !== undefined && rooms.includes(room)),
  );
  const other = clients.find(({ name, rooms }) => name !== client && room !== undefined && rooms.includes(room));
  const shown = [...new Set([...chosen.slice(0, 2), ...(other === undefined ? [] : [other])])];
  // What shows only at the end has no moment: the last that was seen then.
  const from = Number.isFinite(at) ? at - AROUND_MS : Number.NEGATIVE_INFINITY;
  const until = at + AROUND_MS;
  return [
    ...shown.flatMap((each) => [
      `  ${each.name} (${each.user}):`,
      ...eventsOf(each, room, from, until).map((line) => `    ${line}`),
    ]),
    ...run.logs.flatMap(({ node, lines }) => [
      `  ${node} logged:`,
      ...logged(run, lines, from, until).map((line) => `    ${line}`),
    ]),
  ];
}

function eventsOf({ seen }: ClientRecord, room: string | undefined, from: number, until: number): string[] {
  return seen
    .filter((event) => event.at >= from && event.at <= until)
    .filter((event) => !("room" in event) || room === undefined || event.room === room)
    .slice(-SHOWN_EVENTS)
    .map((event) => `${moment(event.at)} ${eventText(event)}`);
}

function eventText(seen: Seen): string {
  switch (seen.kind) {
    case "connected":
      return `connected to ${seen.node}`;
    case "disconnected":
      return `disconnected: ${seen.reason}`;
    case "ending":
    case "refused":
      return `${seen.kind}: ${seen.code}`;
    case "joined": {
      const { position, recovered, messages, members } = seen;
      const how = recovered ? `recovered ${messages.length} messages` : "not recovered";
      return `joined ${seen.room} at ${position.seq} of ${position.epoch}, ${how}, with ${members.join(" ")}`;
    }
    case "message":
      return `message ${seen.entry.seq} ${seen.entry.id}`;
    case "resync":
      return `resync (${seen.reason})`;
    case "members":
      return `getMembers: ${seen.members.join(" ")}`;
    case "userJoined":
    case "userLeft":
      return `${seen.kind} ${seen.user}`;
    default:
      return seen.kind;
  }
}

/** The lines of a node's log in that time, by the clock in them. */
function logged({ startedAt }: Run, lines: readonly string[], from: number, until: number): string[] {
  const inTime = lines.filter((line) => {
    const time = Date.parse(/"time":"([^"]+)"/.exec(line)?.[1] ?? "") - startedAt;
    return Number.isNaN(time) || (time >= from && time <= until);
  });
  return inTime.slice(-SHOWN_LINES).map((line) => line.slice(0, LINE_CHARACTERS));
}

function violationLine({ rule, at, client, room, text }: Violation): string {
  return `${moment(at)} ${[rule, client, room].filter(Boolean).join(", ")}: ${text}`;
}

function moment(at: number): string {
  return Number.isFinite(at) ? `${(at / 1_000).toFixed(3)} s` : "the end";
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}
