import { cpuDuring } from "../cpu.ts";
import { type Measurement, Rounds } from "../measurement.ts";
import { inTurns, type Party, type Scenario, withParties } from "./scenario.ts";

const MICROSECONDS = 1e6;
const GROUP = "members";
const BYTES = 120;
const AT_ONCE = 8;
const PER_SECOND = 200;
const ROOMS_PER_CLIENT = 100;
const SIZES = {
  full: { steps: [10, 1_000, 10_000, 100_000], seconds: 2 },
  quick: { steps: [10, 1_000], seconds: 1 },
  tiny: { steps: [10, 200], seconds: 0.3 },
} as const;

/** Opens rooms until there are `total`; every client is in up to a hundred. */
async function growTo({ contender, running, load }: Party, before: number, total: number): Promise<void> {
  const port = running.ports[0] ?? 0;
  const clients: { port: number; rooms: string[] }[] = [];
  for (let first = before; first < total; first += ROOMS_PER_CLIENT) {
    const count = Math.min(ROOMS_PER_CLIENT, total - first);
    clients.push({ port, rooms: Array.from({ length: count }, (_, i) => `chat:growth-${first + i}`) });
  }
  await load.open({ group: GROUP, dialect: contender.dialect, clients, atOnce: AT_ONCE });
}

async function send({ load }: Party, seconds: number) {
  const how = { arrivals: "even", bytes: BYTES, receivers: 1, senders: "all" } as const;
  const turns = Math.round(PER_SECOND * seconds);
  return await load.publish({ group: GROUP, perTurn: 1, turnsPerSecond: PER_SECOND, turns, ...how });
}

/** A message to one room must not cost more because there are many others. */
export const growth: Scenario = {
  name: "growth",
  describe(size) {
    const { steps, seconds } = SIZES[size];
    return `One node with more and more rooms of one member each (${steps.join(", ")}; clients in up to ${ROOMS_PER_CLIENT} rooms); ${PER_SECOND} messages/s to rooms all over, ${seconds} s a round. CPU of node and Redis for each message, with all that the rooms cost meanwhile.`;
  },
  async run(bench): Promise<readonly Measurement[]> {
    const { steps, seconds } = SIZES[bench.size];
    return await withParties(bench.contenders(["roomcast", "sharded"]), { nodes: 1 }, async (parties) => {
      const measurements: Measurement[] = [];
      let before = 0;
      for (const total of steps) {
        for (const party of parties) {
          await growTo(party, before, total);
          await send(party, seconds);
          bench.say(`growth: ${party.contender.name} has ${total} rooms`);
        }
        before = total;
        const rounds = new Rounds();
        await inTurns(bench.rounds, parties, async (party) => {
          const used = await cpuDuring(party.running.pids, () => send(party, seconds));
          const cost = (used.seconds * MICROSECONDS) / used.result.sent;
          rounds.add(party.contender.name, cost);
          bench.say(`growth ${total}: ${party.contender.name} ${cost.toFixed(0)} µs`);
        });
        measurements.push(rounds.measurement(`growth rooms=${total}`, `CPU per message, ${total} rooms`, "µs"));
      }
      return measurements;
    });
  },
};
