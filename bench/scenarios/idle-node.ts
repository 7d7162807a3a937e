import type { Contender } from "../contenders/contender.ts";
import { type Measurement, Rounds } from "../measurement.ts";
import { Relay } from "../relay.ts";
import { type Bench, type Scenario, withParties } from "./scenario.ts";

const GROUP = "members";
const ROOMS = 10;
const BYTES = 120;
const AT_ONCE = 10;
const PER_SECOND = 200;
const SIZES = { full: { seconds: 3 }, quick: { seconds: 1 }, tiny: { seconds: 0.3 } } as const;

/** How many messages the node without members was sent by Redis, for each one that members got. */
async function copies(contender: Contender, bench: Bench): Promise<number[]> {
  const relay = new Relay();
  const redisUrlOf = (url: string, node: number) => (node === 1 ? relay.start(url) : url);
  try {
    return await withParties([contender], { nodes: 2, redisUrlOf }, async ([party]) => {
      if (party === undefined) return [];
      const { running, load } = party;
      const clients = Array.from({ length: ROOMS }, (_, i) => ({
        port: running.ports[0] ?? 0,
        rooms: [`chat:far-${i}`],
      }));
      await load.open({ group: GROUP, dialect: contender.dialect, clients, atOnce: AT_ONCE });
      const values: number[] = [];
      for (let round = 0; round < bench.rounds; round++) {
        const before = relay.counts();
        const turns = Math.round(PER_SECOND * SIZES[bench.size].seconds);
        const how = { arrivals: "even", bytes: BYTES, receivers: 1, senders: "all" } as const;
        const { sent } = await load.publish({ group: GROUP, perTurn: 1, turnsPerSecond: PER_SECOND, turns, ...how });
        values.push((relay.counts().messages - before.messages) / sent);
      }
      return values;
    });
  } finally {
    relay.stop();
  }
}

/** A node that has nobody in the rooms should hear nothing of them. */
export const idleNode: Scenario = {
  name: "idle-node",
  describe: (size) =>
    `Two nodes, all members on the first; ${PER_SECOND} messages/s for ${SIZES[size].seconds} s a round. A relay in front of the second node's Redis counts the messages in what Redis sends it.`,
  async run(bench): Promise<readonly Measurement[]> {
    const rounds = new Rounds();
    for (const contender of bench.contenders(["roomcast", "sharded", "classic", "streams"])) {
      for (const value of await copies(contender, bench)) {
        rounds.add(contender.name, value);
        bench.say(`idle-node: ${contender.name} ${value.toFixed(2)}`);
      }
    }
    return [rounds.measurement("idle-node", "messages sent to a node without members, for each message", "")];
  },
};
