import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Contender } from "../contenders/contender.ts";
import { probe } from "../contenders/probing.ts";
import { cpuDuring } from "../cpu.ts";
import { Load } from "../load/load.ts";
import { type Measurement, Rounds } from "../measurement.ts";
import { type Bench, type Scenario, withParties } from "./scenario.ts";

const MICROSECONDS = 1e6;
const ROOM = "chat:huge";
const GROUP = "members";
const BYTES = 120;
const AT_ONCE = 50;
/** Files that a server has open beside its connections, generously. */
const OTHER_FILES = 500;
/** Until what the joins left behind is done: presence, garbage. */
const SETTLE_MS = 2_000;
const BETWEEN_MS = 300;
const SIZES = { full: 20_000, quick: 1_000, tiny: 20 } as const;

/** How many files a process may have open here; Node.js takes the hard limit by itself. */
function fileLimit(): number {
  const match = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
  return match === null ? Number.POSITIVE_INFINITY : Number(match[1]);
}

/** Sends one message after the other to the room; calls back with each one's cost. */
async function sendTo(
  contender: Contender,
  members: number,
  bench: Bench,
  each: (held: number, micros: number) => void,
): Promise<void> {
  const options = { nodes: 1, probed: true, connections: members + OTHER_FILES };
  await withParties([contender], options, async ([party]) => {
    if (party === undefined) return;
    const { running, load } = party;
    const other = new Load();
    const half = Math.floor(members / 2);
    const plans = Array.from({ length: members }, () => ({ port: running.ports[0] ?? 0, rooms: [ROOM] }));
    const open = (part: Load, clients: typeof plans, group: string) =>
      part.open({ group, dialect: contender.dialect, clients, atOnce: AT_ONCE });
    try {
      await Promise.all([open(load, plans.slice(0, half), GROUP), open(other, plans.slice(half), "others")]);
      bench.say(`huge: ${members} clients of ${contender.name} are in`);
      const probePort = running.probePorts[0] ?? 0;
      const how = { arrivals: "even", bytes: BYTES, receivers: half, senders: "first" } as const;
      // The first ones warm up; they are not counted.
      for (let message = -2; message < bench.rounds; message++) {
        await delay(message < 0 ? SETTLE_MS : BETWEEN_MS);
        await probe(probePort, "delay");
        const { seconds } = await cpuDuring(running.pids, async () => {
          await load.publish({ group: GROUP, perTurn: 1, turnsPerSecond: 1, turns: 1, ...how });
          await delay(BETWEEN_MS);
        });
        const { maxDelayMs } = await probe(probePort, "delay");
        if (message >= 0) each(maxDelayMs, (seconds * MICROSECONDS) / members);
      }
    } finally {
      await other.stop();
    }
  });
}

/** A message to a very large room must not stop everything else on the node. */
export const huge: Scenario = {
  name: "huge",
  describe: (size) =>
    `A room of ${SIZES[size]} on one node (or as many as the machine's limit of open files allows); one message at a time, the first two not counted. For how long the node's event loop was held at most, and CPU of node and Redis for each delivery.`,
  async run(bench): Promise<readonly Measurement[]> {
    const wanted = SIZES[bench.size];
    const members = Math.min(wanted, fileLimit() - OTHER_FILES);
    if (members < wanted) bench.note(`The limit of open files allows ${members} members of ${wanted}.`);
    const [held, cost] = [new Rounds(), new Rounds()];
    for (const contender of bench.contenders(["roomcast", "sharded", "ws"])) {
      await sendTo(contender, members, bench, (maxDelayMs, micros) => {
        held.add(contender.name, maxDelayMs);
        cost.add(contender.name, micros);
        bench.say(`huge: ${contender.name} held for ${maxDelayMs.toFixed(0)} ms, ${micros.toFixed(1)} µs each`);
      });
    }
    return [
      held.measurement("huge", "event loop held at most, for one message", "ms"),
      cost.measurement("huge cost", "CPU per delivery", "µs"),
    ];
  },
};
