import { cpuDuring } from "../cpu.ts";
import { type Measurement, Rounds } from "../measurement.ts";
import { inTurns, type Party, type Scenario, withParties } from "./scenario.ts";

const MICROSECONDS = 1e6;
const GROUP = "members";
const BYTES = 120;
const AT_ONCE = 8;
const PER_SECOND = 200;
const ROOMS_PER_CLIENT = 100;
/**
 * A round is longer than the time between two full collections of garbage on a node with very many rooms, and than what is
 * done every 30 s: both are what many rooms cost.
 */
const SIZES = {
  full: { steps: [10, 100_000], seconds: 31 },
  quick: { steps: [10, 1_000], seconds: 1 },
  tiny: { steps: [10, 200], seconds: 0.3 },
} as const;
const WARM_UP_S = 20;

/** Opens `total` rooms; every client is in up to a hundred. */
async function openRooms({ contender, running, load }: Party, total: number): Promise<void> {
  const port = running.ports[0] ?? 0;
  const clients: { port: number; rooms: string[] }[] = [];
  for (let first = 0; first < total; first += ROOMS_PER_CLIENT) {
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
    return `Nodes with few and with many rooms of one member each (${steps.join(", ")}; clients in up to ${ROOMS_PER_CLIENT} rooms), side by side and in turns; ${PER_SECOND} messages/s to rooms all over, ${seconds} s a round. CPU of node and Redis for each message, with all that the rooms cost meanwhile. All servers are up all the time.`;
  },
  async run(bench): Promise<readonly Measurement[]> {
    const { seconds } = SIZES[bench.size];
    const steps: readonly number[] = SIZES[bench.size].steps;
    const contenders = bench.contenders(["roomcast", "sharded", "floor"]);
    const everyStep = steps.flatMap((total) => contenders.map((contender) => ({ total, contender })));
    return await withParties(
      everyStep.map(({ contender }) => contender),
      { nodes: 1 },
      async (parties) => {
        const totalOf = new Map(parties.map((party, index) => [party, everyStep[index]?.total ?? 0]));
        const rounds = new Map(steps.map((total) => [total, new Rounds()]));
        for (const [party, total] of totalOf) {
          await openRooms(party, total);
          await send(party, Math.min(seconds, WARM_UP_S));
          bench.say(`growth: ${party.contender.name} has ${total} rooms`);
        }
        await inTurns(bench.rounds, parties, async (party) => {
          const total = totalOf.get(party) ?? 0;
          const used = await cpuDuring(party.running.pids, () => send(party, seconds));
          const cost = (used.seconds * MICROSECONDS) / used.result.sent;
          rounds.get(total)?.add(party.contender.name, cost);
          bench.say(`growth ${total}: ${party.contender.name} ${cost.toFixed(0)} µs`);
        });
        return [...rounds].map(([total, values]) =>
          values.measurement(`growth rooms=${total}`, `CPU per message, ${total} rooms`, "µs"),
        );
      },
    );
  },
};
