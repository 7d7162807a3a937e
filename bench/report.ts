import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { figuresOf, floorsOf, GOALS } from "./goals.ts";
import type { Result, Results } from "./results.ts";
import { SCENARIOS } from "./scenarios/all.ts";
import { goalTable, measurementTable, table } from "./table.ts";

const FILE = join(import.meta.dirname, "../docs/benchmarks.md");

const HEAD = `# Benchmarks

Roomcast beside what it replaces, measured side by side. \`npm run bench\` wrote this page from its measurements
(\`bench/results.json\`); nothing on it was typed by hand.

CPU is what the operating system accounts to the server processes and Redis. The load comes from processes of their own that
speak websocket frames by hand. Contenders have their turns in alternation (A B B A …), each round in the other direction. A
ratio is Roomcast's median by the other's; its spread is that of the rounds. Everything is on loopback, on one machine: only the
ratios carry over to another one. What the contenders promise is not the same: Roomcast's messages are stored, ordered and
complete, those of all others arrive at most once.

The row \`floor\`, where there is one, is no server and no goal, but the least that a server of this kind can cost: Socket.IO in
front, a verified token, Roomcast's own scripts in Redis for the seat of a member and for the log, one subscription a room, and one
write of one shared frame to each member. Nothing is authorised, counted, repaired or swept, nobody hears who comes later, and nobody catches up
(\`bench/contenders/floor-server.ts\`). Between it and the sharded adapter lies what such a log costs in any case,
between it and Roomcast what everything else that Roomcast promises costs.`;

const TAIL = `## How to repeat it

    npm run bench                        # everything, and writes this page
    npm run bench -- --scenario room     # one scenario, and its part of this page
    npm run bench -- --quick             # under 3 minutes, writes nothing
    npm run bench -- --check             # compares with the committed ratios; exit code 1 where one is worse

It sets its peers up by itself: packages from \`bench/package.json\`, NATS and Mosquitto from Debian's packages, unpacked into
\`.cache\`. Nothing else should run on the machine meanwhile.`;

function section(name: string, { date, machine, rounds, description, notes, measurements }: Result): string {
  const head = `## ${name}\n\n${description}\n\nMeasured on ${date}, ${rounds} rounds, on ${machine}.`;
  return [head, ...notes, ...measurements.map(measurementTable)].join("\n\n");
}

/** The page as text. */
export function page(results: Results): string {
  const all = SCENARIOS.flatMap(({ name }) => {
    const result = results[name];
    return result === undefined ? [] : [{ name, result }];
  });
  const figures = all.flatMap(({ result }) => figuresOf(result.measurements));
  const floors = all.flatMap(({ result }) => floorsOf(result.measurements));
  const versions = Object.entries(Object.assign({}, ...all.map(({ result }) => result.versions)) as Result["versions"]);
  return `${[
    HEAD,
    `## Goals\n\n${goalTable(GOALS, figures, floors)}`,
    ...all.map(({ name, result }) => section(name, result)),
    `## Versions\n\n${table(["name", "what it is"], versions)}`,
    TAIL,
  ].join("\n\n")}\n`;
}

/** Writes docs/benchmarks.md. */
export function writePage(results: Results): void {
  writeFileSync(FILE, page(results));
}
