import { setTimeout as delay } from "node:timers/promises";
import type { Contender, Running } from "../contenders/contender.ts";
import { probe } from "../contenders/probing.ts";
import { residentBytes } from "../cpu.ts";
import { type Measurement, Rounds } from "../measurement.ts";
import { type Bench, type Scenario, withParties } from "./scenario.ts";

const KIB = 1_024;
const ROOM_SIZE = 10;
const AT_ONCE = 20;
const SETTLE_MS = 400;
/** Garbage is collected more than once: what a first time frees, a second one gives back. */
const COLLECTIONS = 3;
const SIZES = {
  full: { warm: 1_000, clients: 3_000 },
  quick: { warm: 100, clients: 300 },
  tiny: { warm: 5, clients: 10 },
} as const;

async function resident({ probePorts, serverPids }: Running): Promise<number> {
  for (let i = 0; i < COLLECTIONS; i++) {
    await delay(SETTLE_MS);
    await probe(probePorts[0] ?? 0, "collect");
  }
  return residentBytes(serverPids[0] ?? 0);
}

/** KiB that a fresh server grows by for each client, once it had some before. */
async function perClient(contender: Contender, { size }: Bench): Promise<number> {
  const { warm, clients } = SIZES[size];
  return await withParties([contender], { nodes: 1, probed: true }, async ([party]) => {
    if (party === undefined) return Number.NaN;
    const { running, load } = party;
    const open = async (group: string, count: number) => {
      const plans = Array.from({ length: count }, (_, i) => ({
        port: running.ports[0] ?? 0,
        rooms: [`chat:${group}-${Math.floor(i / ROOM_SIZE)}`],
      }));
      await load.open({ group, dialect: contender.dialect, clients: plans, atOnce: AT_ONCE });
    };
    await open("warm", warm);
    const before = await resident(running);
    await open("idle", clients);
    return ((await resident(running)) - before) / clients / KIB;
  });
}

/** What an idle client keeps in memory. */
export const memory: Scenario = {
  name: "memory",
  describe(size) {
    const { warm, clients } = SIZES[size];
    return `A fresh server, ${warm} clients first and then ${clients} more, connected (Roomcast's: authenticated) and joined in rooms of ${ROOM_SIZE}, idle. Growth of the server's resident memory after garbage was collected, for each client. All run with \`MALLOC_ARENA_MAX=1\`, as Roomcast's image has it.`;
  },
  async run(bench): Promise<readonly Measurement[]> {
    const rounds = new Rounds();
    const contenders = bench.contenders(["roomcast", "sharded", "classic", "ws"]);
    for (let round = 0; round < bench.rounds; round++) {
      for (const contender of contenders) {
        const value = await perClient(contender, bench);
        rounds.add(contender.name, value);
        bench.say(`memory: ${contender.name} ${value.toFixed(1)} KiB`);
      }
    }
    return [rounds.measurement("memory", "resident memory per joined client", "KiB")];
  },
};
