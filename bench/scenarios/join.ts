import { setTimeout as delay } from "node:timers/promises";
import { TokenVerifier } from "../../src/auth/tokens.ts";
import { cpuDuring } from "../cpu.ts";
import { signedToken, TOKEN_SECRET } from "../load/token.ts";
import { type Measurement, Rounds } from "../measurement.ts";
import { median } from "../statistics.ts";
import { inTurns, type Scenario, withParties } from "./scenario.ts";

const MICROSECONDS = 1e6;
/** Of these each client brings a token. */
const VERIFY: readonly string[] = ["roomcast", "floor"];
const AT_ONCE = 50;
/**
 * `warmUps`: a node's CPU for a join falls for the first thousands of them, since V8 compiles what is done once a join late.
 * `leftAloneMs`: what goes on after a round's clients have left, such as looking after their rooms, is no part of the next.
 */
const SIZES = {
  full: { clients: 1_000, warmUps: 4, leftAloneMs: 1_000, tokens: 3_000 },
  quick: { clients: 400, warmUps: 1, leftAloneMs: 200, tokens: 1_000 },
  tiny: { clients: 10, warmUps: 1, leftAloneMs: 0, tokens: 20 },
} as const;

/** Microseconds of CPU that verifying one token takes, by the code that nodes run. */
async function verifying(count: number): Promise<number> {
  const secrets = [new TextEncoder().encode(TOKEN_SECRET)];
  const keys = { kind: "secrets", secrets, generated: false } as const;
  const verifier = new TokenVerifier({ keys, issuer: undefined, audience: undefined });
  const tokens = Array.from({ length: count }, (_, i) => signedToken(`user-${i}`));
  const { seconds } = await cpuDuring([process.pid], () => Promise.all(tokens.map((token) => verifier.verify(token))));
  return (seconds * MICROSECONDS) / count;
}

/** Everybody comes at once, each into a room of their own. */
export const join: Scenario = {
  name: "join",
  describe(size) {
    const { clients, warmUps } = SIZES[size];
    return `${clients} clients connect, Roomcast's and the floor's with a token (HS256), and join one room each, ${AT_ONCE} at a time, after as many have done so ${warmUps} times before. CPU of node and Redis for each; the inverse is joins per second and core. What verifying a token takes is measured by itself, and taken off in the second row.`;
  },
  async run(bench): Promise<readonly Measurement[]> {
    const { clients, warmUps, leftAloneMs, tokens } = SIZES[bench.size];
    const names = ["roomcast", "sharded", "classic", "streams", "floor"] as const;
    return await withParties(bench.contenders(names), { nodes: 1 }, async (parties) => {
      const rounds = new Rounds();
      const verified = new Rounds();
      const without = new Rounds();
      const storm = async ({ contender, running, load }: (typeof parties)[number], group: string) => {
        const port = running.ports[0] ?? 0;
        const plans = Array.from({ length: clients }, (_, i) => ({ port, rooms: [`solo:${group}-${i}`] }));
        const used = await cpuDuring(running.pids, () =>
          load.open({ group, dialect: contender.dialect, clients: plans, atOnce: AT_ONCE }),
        );
        await load.drop(group, "leave");
        await delay(leftAloneMs);
        return (used.seconds * MICROSECONDS) / clients;
      };
      for (const party of parties) {
        for (let warmUp = 0; warmUp < warmUps; warmUp++) await storm(party, `warm-up-${warmUp}`);
      }
      await verifying(tokens);
      const each: number[] = [];
      for (let round = 0; round < bench.rounds; round++) each.push(await verifying(tokens));
      for (const value of each) verified.add("roomcast", value);
      await inTurns(bench.rounds, parties, async (party, round) => {
        const { name } = party.contender;
        const cost = await storm(party, `round-${round}`);
        rounds.add(name, cost);
        without.add(name, VERIFY.includes(name) ? cost - median(each) : cost);
        bench.say(`join: ${name} ${cost.toFixed(0)} µs`);
      });
      return [
        rounds.measurement("join", "CPU per connect, authenticate and join", "µs"),
        without.measurement("join without token", "the same without verifying the token", "µs"),
        verified.measurement("join token", "verifying a token", "µs"),
      ];
    });
  },
};
