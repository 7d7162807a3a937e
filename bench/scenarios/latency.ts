import { type Measurement, Rounds } from "../measurement.ts";
import { type Bench, inTurns, type Party, type Scenario, withParties } from "./scenario.ts";

const ROOM = "chat:latency";
const GROUP = "members";
const BYTES = 120;
const AT_ONCE = 20;
const PER_SECOND = 100;
const WARM_UP_FACTOR = 4;
/** One start of the same servers is up to a fifth faster or slower than another, for as long as they run. */
const ROUNDS_PER_START = 3;
const SIZES = {
  full: { members: 100, seconds: 3, warmUpSeconds: 15, leadInSeconds: 1 },
  quick: { members: 50, seconds: 1, warmUpSeconds: 1, leadInSeconds: 0.2 },
  tiny: { members: 5, seconds: 0.3, warmUpSeconds: 0.1, leadInSeconds: 0.1 },
} as const;

async function send(
  { load }: Party,
  arrivals: "even" | "random",
  receivers: number,
  seconds: number,
  turnsPerSecond = PER_SECOND,
) {
  const turns = Math.round(turnsPerSecond * seconds);
  const how = { perTurn: 1, turnsPerSecond, bytes: BYTES, senders: "first" } as const;
  return await load.publish({ group: GROUP, turns, arrivals, receivers, ...how });
}

/** One node, where the stock adapters reach everybody without Redis, and three, where they must go through it as well. */
const CLUSTERS = [
  { nodes: 1, prefix: "latency", names: ["roomcast", "sharded", "classic", "streams", "ws", "floor"] },
  { nodes: 3, prefix: "latency 3 nodes", names: ["roomcast", "sharded", "classic", "streams", "floor"] },
] as const;

/** What one cluster is measured for with one kind of arrivals. */
interface Percentiles {
  readonly arrivals: "even" | "random";
  readonly p50: Rounds;
  readonly p99: Rounds;
}

/** All of them are started, warmed up, and have their turns. */
async function runOnce(
  bench: Bench,
  { nodes, prefix, names }: (typeof CLUSTERS)[number],
  rounds: number,
  collected: readonly Percentiles[],
): Promise<void> {
  const { members, seconds, warmUpSeconds, leadInSeconds } = SIZES[bench.size];
  await withParties(bench.contenders(names), { nodes }, async (parties) => {
    for (const { contender, running, load } of parties) {
      const clients = Array.from({ length: members }, (_, i) => ({
        port: running.ports[i % nodes] ?? 0,
        rooms: [ROOM],
      }));
      await load.open({ group: GROUP, dialect: contender.dialect, clients, atOnce: AT_ONCE });
    }
    // Faster than what is measured: what is done once a message is compiled late otherwise, in the middle of the rounds.
    for (const party of parties) await send(party, "even", members, warmUpSeconds, WARM_UP_FACTOR * PER_SECOND);
    for (const { arrivals, p50, p99 } of collected) {
      await inTurns(rounds, parties, async (party) => {
        // It has stood still while the others had their turns: what is cold by then says nothing of a room that is used.
        await send(party, arrivals, members, leadInSeconds);
        const result = await send(party, arrivals, members, seconds);
        p50.add(party.contender.name, result.p50);
        p99.add(party.contender.name, result.p99);
        bench.say(
          `${prefix} ${arrivals}: ${party.contender.name} p50 ${result.p50.toFixed(2)} p99 ${result.p99.toFixed(2)} ms`,
        );
      });
    }
  });
}

async function onCluster(bench: Bench, cluster: (typeof CLUSTERS)[number]): Promise<Measurement[]> {
  const collected = (["even", "random"] as const).map((arrivals) => ({
    ...{ arrivals, p50: new Rounds(), p99: new Rounds() },
  }));
  for (let done = 0; done < bench.rounds; done += ROUNDS_PER_START) {
    await runOnce(bench, cluster, Math.min(ROUNDS_PER_START, bench.rounds - done), collected);
  }
  const { nodes, prefix } = cluster;
  return collected.flatMap(({ arrivals, p50, p99 }) => {
    const what = `publish to receipt, ${nodes === 1 ? "one node" : `${nodes} nodes`}, ${arrivals} arrivals`;
    return [
      p50.measurement(`${prefix} ${arrivals} p50`, `${what}, p50`, "ms"),
      p99.measurement(`${prefix} ${arrivals} p99`, `${what}, p99`, "ms"),
    ];
  });
}

/** How long a message takes from its sender to every member, at the same load for all. */
export const latency: Scenario = {
  name: "latency",
  describe(size) {
    const { members, seconds, warmUpSeconds, leadInSeconds } = SIZES[size];
    return `One room of ${members}, ${PER_SECOND} messages/s of one sender for ${seconds} s a round, ${leadInSeconds} s of the same before it uncounted, after ${warmUpSeconds} s of ${WARM_UP_FACTOR * PER_SECOND} messages/s, at even distances and at random ones (Poisson); everybody on one node, and spread over three. All servers are started anew after every ${ROUNDS_PER_START} rounds. From writing a message to reading it, over all members.`;
  },
  async run(bench): Promise<readonly Measurement[]> {
    const measurements: Measurement[] = [];
    for (const cluster of CLUSTERS) measurements.push(...(await onCluster(bench, cluster)));
    return measurements;
  },
};
