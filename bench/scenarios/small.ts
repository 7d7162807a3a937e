import { cpuDuring } from "../cpu.ts";
import { type Measurement, Rounds } from "../measurement.ts";
import { type Bench, inTurns, type Party, type Scenario, withParties } from "./scenario.ts";

const MICROSECONDS = 1e6;
const NODES = 3;
const GROUP = "members";
const BYTES = 120;
const AT_ONCE = 20;
const WARM_UP_FACTOR = 4;
/** One start of the same server takes up to a fifth more or less than another, for as long as it runs. */
const ROUNDS_PER_START = 3;

const SIZES = {
  full: { clients: 300, seconds: 3, warmUpSeconds: 15, perSecond: 200 },
  quick: { clients: 150, seconds: 1.5, warmUpSeconds: 1.5, perSecond: 200 },
  tiny: { clients: 6, seconds: 0.3, warmUpSeconds: 0.1, perSecond: 50 },
} as const;

async function send({ load }: Party, perSecond: number, seconds: number) {
  const how = { arrivals: "even", bytes: BYTES, receivers: NODES, senders: "all" } as const;
  const turns = Math.round(perSecond * seconds);
  return await load.publish({ group: GROUP, perTurn: 1, turnsPerSecond: perSecond, turns, ...how });
}

/** All of them are started, warmed up, and have their turns. */
async function runOnce(bench: Bench, rounds: number, collected: Rounds): Promise<void> {
  const { clients, seconds, warmUpSeconds, perSecond } = SIZES[bench.size];
  const names = ["roomcast", "sharded", "classic", "streams", "floor"] as const;
  await withParties(bench.contenders(names), { nodes: NODES }, async (parties) => {
    for (const party of parties) {
      const { ports } = party.running;
      const plans = Array.from({ length: clients }, (_, i) => ({
        port: ports[i % NODES] ?? 0,
        rooms: [`chat:small-${Math.floor(i / NODES)}`],
      }));
      await party.load.open({ group: GROUP, dialect: party.contender.dialect, clients: plans, atOnce: AT_ONCE });
      // Faster than what is measured: code that runs for days is compiled, and 200 messages/s would take minutes to get there.
      await send(party, WARM_UP_FACTOR * perSecond, warmUpSeconds);
    }
    await inTurns(rounds, parties, async (party) => {
      const used = await cpuDuring(party.running.pids, () => send(party, perSecond, seconds));
      const cost = (used.seconds * MICROSECONDS) / used.result.sent;
      collected.add(party.contender.name, cost);
      bench.say(`small: ${party.contender.name} ${cost.toFixed(0)} µs`);
    });
  });
}

/** Many small rooms, each spread over all nodes: what a message costs. */
export const small: Scenario = {
  name: "small",
  describe(size) {
    const { clients, seconds, warmUpSeconds, perSecond } = SIZES[size];
    return `${clients} clients over ${NODES} nodes in rooms of ${NODES}, one member on each node; ${perSecond} messages/s from all of them in turn, ${seconds} s a round, after ${warmUpSeconds} s of ${WARM_UP_FACTOR * perSecond} messages/s, in which V8 compiles what runs often. All servers are started anew after every ${ROUNDS_PER_START} rounds. CPU of all nodes and Redis for each message.`;
  },
  async run(bench): Promise<readonly Measurement[]> {
    const collected = new Rounds();
    for (let done = 0; done < bench.rounds; done += ROUNDS_PER_START) {
      await runOnce(bench, Math.min(ROUNDS_PER_START, bench.rounds - done), collected);
    }
    return [collected.measurement("small", "CPU per message, nodes and Redis", "µs")];
  },
};
