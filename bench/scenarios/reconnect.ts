import { cpuDuring } from "../cpu.ts";
import { type Measurement, Rounds } from "../measurement.ts";
import { inTurns, type Party, type Scenario, type Size, withParties } from "./scenario.ts";

const MICROSECONDS = 1e6;
const GROUP = "members";
const BYTES = 120;
const AT_ONCE = 50;
const ROOM_SIZE = 10;
/** Messages that are sent at once while nobody is there, and how often: faster, a pause of the node would have more of them under way than it takes. */
const PER_TURN = 10;
const TURNS_PER_SECOND = 60;
const SIZES: Readonly<Record<Size, { clients: number; missed: number }>> = {
  full: { clients: 1_000, missed: 100 },
  quick: { clients: 200, missed: 100 },
  tiny: { clients: 10, missed: 10 },
};

function roomsOf(clients: number): string[] {
  return Array.from({ length: clients / ROOM_SIZE }, (_, i) => `chat:back-${i}`);
}

/** One client fills all rooms while their members are away. */
async function fill({ contender, running, load }: Party, rooms: readonly string[], missed: number): Promise<void> {
  const clients = [{ port: running.ports[0] ?? 0, rooms }];
  await load.open({ group: "writer", dialect: contender.dialect, clients, atOnce: 1 });
  const how = { arrivals: "even", bytes: BYTES, receivers: 1, senders: "first" } as const;
  const turns = (rooms.length * missed) / PER_TURN;
  await load.publish({ group: "writer", perTurn: PER_TURN, turnsPerSecond: TURNS_PER_SECOND, turns, ...how });
  await load.drop("writer", "leave");
}

/** Everybody lost their connection, and comes back. */
export const reconnect: Scenario = {
  name: "reconnect",
  describe(size) {
    const { clients, missed } = SIZES[size];
    return `${clients} clients in rooms of ${ROOM_SIZE} are cut off, ${missed} messages are sent to each room, and all come back, ${AT_ONCE} at a time: Roomcast's with their position, and they are back once each has its ${missed} messages. The stock adapter's connect and join again, and have lost them.`;
  },
  async run(bench): Promise<readonly Measurement[]> {
    const { clients, missed } = SIZES[bench.size];
    const rooms = roomsOf(clients);
    return await withParties(bench.contenders(["roomcast", "sharded"]), { nodes: 1 }, async (parties) => {
      const [cost, time] = [new Rounds(), new Rounds()];
      const open = ({ contender, running, load }: Party, expected: number) => {
        const port = running.ports[0] ?? 0;
        const plans = Array.from({ length: clients }, (_, i) => ({ port, rooms: [rooms[i % rooms.length] ?? ""] }));
        return load.open({
          group: GROUP,
          dialect: contender.dialect,
          clients: plans,
          atOnce: AT_ONCE,
          missed: expected,
        });
      };
      for (const party of parties) await open(party, 0);
      await inTurns(bench.rounds, parties, async (party) => {
        const { name } = party.contender;
        await party.load.drop(GROUP, "cut");
        if (name === "roomcast") await fill(party, rooms, missed);
        const used = await cpuDuring(party.running.pids, () => open(party, name === "roomcast" ? missed : 0));
        cost.add(name, (used.seconds * MICROSECONDS) / clients);
        time.add(name, used.result.seconds);
        bench.say(`reconnect: ${name} ${used.result.seconds.toFixed(2)} s`);
      });
      return [
        cost.measurement("reconnect", "CPU per client that comes back", "µs"),
        time.measurement("reconnect time", "until all are back", "s"),
      ];
    });
  },
};
