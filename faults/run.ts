import { setTimeout as delay } from "node:timers/promises";
import type { Started } from "../src/local/started.ts";
import type { Transports } from "../test/support/client.ts";
import { signToken } from "../test/support/token.ts";
import { countedBy } from "./counted.ts";
import type { PlannedFault } from "./fault.ts";
import { Journal } from "./journal.ts";
import { Line } from "./line.ts";
import { Load } from "./load.ts";
import { Member } from "./member.ts";
import type { FaultRecord, Observations } from "./observations.ts";
import { isOfClients, perform } from "./perform.ts";
import { planOf, SCENARIOS, type Stage, staying } from "./scenarios.ts";
import { settled, settledStock, until } from "./settle.ts";
import { startWorld, type World } from "./world.ts";

const NODES = 3;
const ROOMS = 6;
const ROOMS_PER_CLIENT = 2;
const MESSAGES_PER_SECOND = 60;
const AGAIN_EVERY = 20;
const JOINED_WITHIN_MS = 20_000;
/** After the last fault: for what was sent to be acknowledged, and for everything to be as it should. */
const SETTLED_WITHIN_MS = 25_000;
/** Every third client each; the first of them has one TCP socket from the beginning. */
const TRANSPORTS: readonly Transports[] = [["websocket"], ["polling"], ["polling", "websocket"]];

export type Target = "roomcast" | "stock";

export interface RunOptions {
  readonly target: Target;
  readonly scenario: string;
  readonly seed: number;
  readonly seconds: number;
  readonly clients: number;
  /** What nodes run, where it is not dist/main.js. */
  readonly script: string | undefined;
  /** Hears how far the run is: `the nodes are up`. */
  readonly reached: (stage: string) => void;
}

export interface Run {
  readonly observed: Observations;
  readonly plan: readonly PlannedFault[];
  /** When the load began, in milliseconds since the run began. */
  readonly loadAt: number;
  readonly redisVersion: string;
  /** For people: what the nodes counted, to see that the faults were felt. */
  readonly counted: string;
  /** The nodes' last lines, with their moments. */
  readonly logs: readonly { readonly node: string; readonly lines: readonly string[] }[];
  /** By which clock the nodes' lines are, in Unix milliseconds. */
  readonly startedAt: number;
}

/** One run from nothing to nothing: starts a world, lets the faults of the plan happen under load, waits until all is well again. */
export async function run(options: RunOptions, started: Started): Promise<Run> {
  const { target, seed, seconds, script, reached } = options;
  const scenario = SCENARIOS[options.scenario];
  if (scenario === undefined) throw new Error(`there is no scenario ${options.scenario}`);
  const clients = Math.min(options.clients, scenario.mostClients ?? options.clients);
  const stage: Stage = { seconds, nodes: NODES, clients };
  const plan = planOf(options.scenario, seed, stage);
  const world = await startWorld({ nodes: NODES, scenario, script }, started);
  reached("the nodes are up");
  const journal = new Journal();
  started.add(async () => journal.stop());
  const members = await makeMembers(world.url, clients, scenario.rooms ?? ROOMS, journal);
  started.add(async () => {
    for (const member of members) member.stop();
  });
  const late = new Set(plan.flatMap(({ fault }) => (fault.kind === "arrive" ? [fault.client] : [])));
  const early = members.filter((_, index) => !late.has(index));
  for (const member of early) member.line.socket.connect();
  if (!(await until(() => early.every((member) => member.isInAll()), JOINED_WITHIN_MS))) {
    throw new Error(`not everybody is in before the first fault: ${world.cluster.logs(0).slice(-5).join("\n")}`);
  }
  reached("everybody is in");

  const load = new Load({
    members,
    messagesPerSecond: MESSAGES_PER_SECOND,
    bodyBytes: scenario.bodyBytes ?? 0,
    againEvery: target === "stock" ? undefined : AGAIN_EVERY,
    journal,
  });
  started.add(async () => load.stop());
  const loadAt = journal.now();
  load.start();
  await happen(plan, world, members, journal, loadAt);
  const left = loadAt + seconds * 1_000 - journal.now();
  if (left > 0) await delay(left);
  reached("the faults are over");
  const settledBy = journal.now() + SETTLED_WITHIN_MS;
  load.stop();
  await Promise.race([load.done(), delay(SETTLED_WITHIN_MS, undefined, { ref: false })]);
  reached("what was sent is answered");

  const rooms =
    target === "stock"
      ? await settledStock(members, journal, settledBy)
      : await settled(world.url, members, journal, settledBy);
  reached("the rooms are read");
  return {
    observed: {
      clients: members.map((member) => member.record()),
      sent: journal.sent,
      requests: journal.requests,
      faults: journal.faults,
      rooms,
      kitStallMs: journal.kitStallMs,
      losesData: scenario.losesData ?? false,
    },
    plan,
    loadAt,
    redisVersion: world.redisVersion,
    counted: target === "stock" ? "" : await countedBy(world.cluster.adminUrls),
    logs: Array.from({ length: NODES }, (_, node) => ({ node: `node-${node + 1}`, lines: world.cluster.logs(node) })),
    startedAt: journal.startedAt,
  };
}

async function makeMembers(url: string, count: number, roomCount: number, journal: Journal): Promise<Member[]> {
  const members: Member[] = [];
  // Two of the users that stay have two connections.
  const users = Math.max(1, staying(count) - 2);
  for (let index = 0; index < count; index++) {
    const user = index < staying(count) ? `u${index % users}` : `u${index}`;
    const token = await signToken({ sub: user });
    const transports = TRANSPORTS[index % TRANSPORTS.length] ?? ["websocket"];
    const line = new Line(`c${index}`, journal, url, token, transports);
    const rooms = Array.from({ length: ROOMS_PER_CLIENT }, (_, nth) => `chat:${(index + nth) % roomCount}`);
    members.push(new Member(line, user, rooms, journal));
  }
  return members;
}

/** Lets the plan happen: what clients do by themselves at its moment, everything else one after the other. */
async function happen(
  plan: readonly PlannedFault[],
  world: World,
  members: readonly Member[],
  journal: Journal,
  loadAt: number,
): Promise<void> {
  const atItsMoment = async ({ atMs, fault }: PlannedFault) => {
    const wait = loadAt + atMs - journal.now();
    if (wait > 0) await delay(wait);
    const record: FaultRecord = { fault, from: journal.now(), until: undefined };
    journal.faults.push(record);
    await perform(fault, world, members);
    record.until = journal.now();
  };
  const inOrder = async () => {
    for (const planned of plan) if (!isOfClients(planned.fault)) await atItsMoment(planned);
  };
  await Promise.all([inOrder(), ...plan.filter(({ fault }) => isOfClients(fault)).map(atItsMoment)]);
}
