import { CONTENDERS } from "../contenders/contender.ts";
import { cpuDuring } from "../cpu.ts";
import { type Measurement, Rounds } from "../measurement.ts";
import { type Bench, inTurns, type Party, type Scenario, type Size, withParties } from "./scenario.ts";

const MICROSECONDS = 1e6;
const ROOM = "chat:big";
const GROUP = "members";
const BYTES = 120;
const AT_ONCE = 20;
const WARM_UP_FACTOR = 2;
/** One start of the same server takes up to a tenth more or less than another, for as long as it runs. */
const ROUNDS_PER_START = 3;
/** Messages that arrive in one turn of the loop, and turns a second: about the same deliveries a second. */
const LOADS = [
  { perTurn: 1, turnsPerSecond: 60 },
  { perTurn: 4, turnsPerSecond: 20 },
  { perTurn: 10, turnsPerSecond: 8 },
] as const;

const SIZES = {
  full: { members: 300, seconds: 2, warmUpSeconds: 8 },
  quick: { members: 200, seconds: 0.8, warmUpSeconds: 0.8 },
  tiny: { members: 5, seconds: 0.3, warmUpSeconds: 0.1 },
} as const;

async function enter({ contender, running, load }: Party, members: number): Promise<void> {
  const port = running.ports[0] ?? 0;
  const clients = Array.from({ length: members }, () => ({ port, rooms: [ROOM] }));
  await load.open({ group: GROUP, dialect: contender.dialect, clients, atOnce: AT_ONCE });
}

interface Turns {
  readonly perTurn: number;
  readonly turnsPerSecond: number;
}

async function send({ load }: Party, { perTurn, turnsPerSecond }: Turns, members: number, seconds: number) {
  const turns = Math.max(1, Math.round(turnsPerSecond * seconds));
  const how = { arrivals: "even", bytes: BYTES, receivers: members, senders: "first" } as const;
  return await load.publish({ group: GROUP, perTurn, turnsPerSecond, turns, ...how });
}

/** All of them are started, and have their turns with each load. */
async function runOnce(bench: Bench, rounds: number, collected: readonly Rounds[]): Promise<void> {
  const { members, seconds, warmUpSeconds } = SIZES[bench.size];
  await withParties(bench.contenders(CONTENDERS), { nodes: 1 }, async (parties) => {
    for (const party of parties) await enter(party, members);
    for (const [index, turns] of LOADS.entries()) {
      // Each load right before it is measured: a server that waited for the others' warming up for minutes takes up to a tenth
      // more. And faster than what is measured: what is done once a message is compiled late where a message has 300 deliveries.
      const faster = { ...turns, turnsPerSecond: WARM_UP_FACTOR * turns.turnsPerSecond };
      for (const party of parties) await send(party, faster, members, warmUpSeconds);
      await inTurns(rounds, parties, async (party) => {
        const used = await cpuDuring(party.running.pids, () => send(party, turns, members, seconds));
        const cost = (used.seconds * MICROSECONDS) / used.result.received;
        collected[index]?.add(party.contender.name, cost);
        bench.say(`room K=${turns.perTurn}: ${party.contender.name} ${cost.toFixed(1)} µs`);
      });
    }
  });
}

/** One big room on one node: what a delivery costs. */
export const room: Scenario = {
  name: "room",
  describe(size: Size) {
    const { members, seconds, warmUpSeconds } = SIZES[size];
    const loads = LOADS.map(({ perTurn, turnsPerSecond }) => `${turnsPerSecond} turns/s of ${perTurn}`).join(", ");
    return `One room of ${members} on one node; a client sends K messages at once (${loads}; ${seconds} s each, after ${warmUpSeconds} s each at twice the rate). All servers are started anew after every ${ROUNDS_PER_START} rounds. CPU of node and Redis for each message that a member received.`;
  },
  async run(bench): Promise<readonly Measurement[]> {
    const collected = LOADS.map(() => new Rounds());
    for (let done = 0; done < bench.rounds; done += ROUNDS_PER_START) {
      await runOnce(bench, Math.min(ROUNDS_PER_START, bench.rounds - done), collected);
    }
    return LOADS.flatMap(({ perTurn }, index) => {
      const rounds = collected[index];
      return rounds === undefined
        ? []
        : [rounds.measurement(`room K=${perTurn}`, `CPU per delivery, K=${perTurn}`, "µs")];
    });
  },
};
