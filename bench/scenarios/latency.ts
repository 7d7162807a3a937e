import { type Measurement, Rounds } from "../measurement.ts";
import { inTurns, type Party, type Scenario, withParties } from "./scenario.ts";

const ROOM = "chat:latency";
const GROUP = "members";
const BYTES = 120;
const AT_ONCE = 20;
const PER_SECOND = 100;
const SIZES = {
  full: { members: 100, seconds: 3, warmUpSeconds: 2 },
  quick: { members: 100, seconds: 1.5, warmUpSeconds: 1 },
  tiny: { members: 5, seconds: 0.3, warmUpSeconds: 0.1 },
} as const;

async function send({ load }: Party, arrivals: "even" | "random", receivers: number, seconds: number) {
  const turns = Math.round(PER_SECOND * seconds);
  const how = { perTurn: 1, turnsPerSecond: PER_SECOND, bytes: BYTES, senders: "first" } as const;
  return await load.publish({ group: GROUP, turns, arrivals, receivers, ...how });
}

/** How long a message takes from its sender to every member, at the same load for all. */
export const latency: Scenario = {
  name: "latency",
  describe(size) {
    const { members, seconds } = SIZES[size];
    return `One room of ${members} on one node, ${PER_SECOND} messages/s for ${seconds} s a round, at even distances and at random ones (Poisson). From writing a message to reading it, over all members.`;
  },
  async run(bench): Promise<readonly Measurement[]> {
    const { members, seconds, warmUpSeconds } = SIZES[bench.size];
    const names = ["roomcast", "sharded", "classic", "streams", "ws"] as const;
    return await withParties(bench.contenders(names), { nodes: 1 }, async (parties) => {
      for (const party of parties) {
        const port = party.running.ports[0] ?? 0;
        const clients = Array.from({ length: members }, () => ({ port, rooms: [ROOM] }));
        await party.load.open({ group: GROUP, dialect: party.contender.dialect, clients, atOnce: AT_ONCE });
        await send(party, "even", members, warmUpSeconds);
      }
      const measurements: Measurement[] = [];
      for (const arrivals of ["even", "random"] as const) {
        const [p50, p99] = [new Rounds(), new Rounds()];
        await inTurns(bench.rounds, parties, async (party) => {
          const result = await send(party, arrivals, members, seconds);
          p50.add(party.contender.name, result.p50);
          p99.add(party.contender.name, result.p99);
          bench.say(
            `latency ${arrivals}: ${party.contender.name} p50 ${result.p50.toFixed(2)} p99 ${result.p99.toFixed(2)} ms`,
          );
        });
        measurements.push(
          p50.measurement(`latency ${arrivals} p50`, `publish to receipt, ${arrivals} arrivals, p50`, "ms"),
          p99.measurement(`latency ${arrivals} p99`, `publish to receipt, ${arrivals} arrivals, p99`, "ms"),
        );
      }
      return measurements;
    });
  },
};
