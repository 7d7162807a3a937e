import { type Departure, type Fault, lengthMs, type PlannedFault } from "./fault.ts";
import { Random } from "./random.ts";

/** How large a run is. */
export interface Stage {
  /** For how long the load and the faults last. */
  readonly seconds: number;
  readonly nodes: number;
  readonly clients: number;
}

export interface Scenario {
  /** For people: what happens. */
  readonly about: string;
  /** The faults of this scenario, in no order. */
  draw(random: Random, stage: Stage): PlannedFault[];
  /** Redis loses data, so members may be told that their stream has ended; in all others nobody may be. */
  readonly losesData?: boolean;
  /** Nodes reach Redis through a proxy each, which can swallow bytes. */
  readonly proxied?: boolean;
  /** There is another Redis to take its place, behind the same proxies. */
  readonly failsOver?: boolean;
  /** At most so many clients, where each of them is much work. */
  readonly mostClients?: number;
  /** Into how many rooms the clients go, two each; six by default. */
  readonly rooms?: number;
  /** Bytes of each message's data beside its id; small by default. */
  readonly bodyBytes?: number;
  /** More environment of the nodes. */
  readonly env?: Readonly<Record<string, string>>;
  /** Why the stock adapter's run leaves it out. */
  readonly notForStock?: string;
}

/** Before the first fault, so that everybody is there and talks. */
const QUIET_START_MS = 1_500;

/** One fault after the other with a gap between them, until the time is over. */
function series(stage: Stage, next: (index: number) => { fault: Fault; gapMs: number }): PlannedFault[] {
  const planned: PlannedFault[] = [];
  const endMs = stage.seconds * 1_000;
  let atMs = QUIET_START_MS;
  while (atMs < endMs) {
    const { fault, gapMs } = next(planned.length);
    // At least one, however short the run.
    if (planned.length > 0 && atMs + lengthMs(fault) > endMs) break;
    planned.push({ atMs, fault });
    atMs += lengthMs(fault) + gapMs;
  }
  return planned;
}

const indices = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

const DRAWS = {
  cutClients: (random: Random, { clients }: Stage): Fault => ({
    kind: "cut clients",
    clients: random.shuffled(indices(clients)).slice(0, Math.ceil(clients / 6)),
    forMs: random.whole(500, 2_000),
  }),
  killNode: (random: Random, { nodes }: Stage): Fault => ({
    kind: "kill node",
    node: random.whole(0, nodes - 1),
    awayMs: random.whole(200, 2_000),
  }),
  drainNode: (random: Random, { nodes }: Stage): Fault => ({ kind: "drain node", node: random.whole(0, nodes - 1) }),
  freezeNode: (random: Random, { nodes }: Stage): Fault => ({
    kind: "freeze node",
    node: random.whole(0, nodes - 1),
    // Longer than a lease and the noticing.
    forMs: random.whole(8_000, 10_000),
  }),
  restartRedis: (random: Random): Fault => ({ kind: "restart redis", awayMs: random.whole(100, 4_000) }),
  emptyRedis: (random: Random): Fault => ({ kind: "empty redis", awayMs: random.whole(50, 3_000) }),
  failOver: (random: Random): Fault => ({
    kind: "fail over",
    behindMs: random.whole(100, 1_000),
    awayMs: random.whole(100, 3_000),
  }),
  pauseRedis: (): Fault => ({ kind: "pause redis", forMs: 3_000 }),
  closeConnections: (random: Random): Fault => ({
    kind: "close redis connections",
    type: random.pick(["pubsub", "pubsub", "normal"]),
  }),
  halfOpen: (random: Random, { nodes }: Stage): Fault => ({
    kind: "half-open",
    nodes: random.shuffled(indices(nodes)).slice(0, random.whole(1, nodes)),
    swallow: random.pick(["requests", "replies", "both"]),
    forMs: random.whole(2_000, 4_000),
  }),
  /** Clients of a number divisible by three speak websocket from the start, so that there is one TCP socket to leave unread. */
  stopReading: (random: Random, { clients }: Stage): Fault => ({
    kind: "stop reading",
    client: 3 * random.whole(0, Math.floor((staying(clients) - 1) / 3)),
    forMs: random.whole(6_000, 9_000),
  }),
};

type Draw = (random: Random, stage: Stage) => Fault;

function repeated(draw: Draw, leastGapMs: number, mostGapMs: number): Scenario["draw"] {
  return (random, stage) =>
    series(stage, () => ({ fault: draw(random, stage), gapMs: random.whole(leastGapMs, mostGapMs) }));
}

const MIXED: readonly Draw[] = [
  DRAWS.killNode,
  DRAWS.drainNode,
  DRAWS.freezeNode,
  DRAWS.restartRedis,
  DRAWS.emptyRedis,
  DRAWS.failOver,
  DRAWS.pauseRedis,
  DRAWS.closeConnections,
  DRAWS.closeConnections,
  DRAWS.halfOpen,
];

/** Beside them some clients are cut now and then. */
function withCuts(random: Random, stage: Stage, faults: readonly PlannedFault[]): PlannedFault[] {
  const cuts = series(stage, () => ({ fault: DRAWS.cutClients(random, stage), gapMs: random.whole(1_500, 4_000) }));
  return [...faults, ...cuts];
}

/** Each kind once before any comes again, in an order of the seed's. */
function drawMixed(random: Random, stage: Stage): PlannedFault[] {
  let left: Draw[] = [];
  const faults = series(stage, () => {
    if (left.length === 0) left = random.shuffled(MIXED);
    const draw = left.pop() ?? DRAWS.closeConnections;
    return { fault: draw(random, stage), gapMs: random.whole(500, 2_500) };
  });
  return withCuts(random, stage, faults);
}

function drawRoll(random: Random, stage: Stage): PlannedFault[] {
  const order = random.shuffled(indices(stage.nodes));
  return series(stage, (index) => ({
    fault: { kind: "drain node", node: order[index % order.length] ?? 0 },
    gapMs: random.whole(200, 1_000),
  }));
}

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  reconnect: {
    about: "clients lose their connection for up to 2 s now and then",
    draw: repeated(DRAWS.cutClients, 700, 1_300),
  },
  kill: { about: "nodes are killed and come back", draw: repeated(DRAWS.killNode, 1_500, 3_000) },
  roll: { about: "a rolling restart of the nodes, drained", draw: drawRoll },
  restart: { about: "Redis is killed and comes back with its AOF", draw: repeated(DRAWS.restartRedis, 3_000, 5_000) },
  pause: { about: "Redis is stopped for 3 s", draw: repeated(DRAWS.pauseRedis, 3_000, 5_000) },
  cut: { about: "Redis closes its connections", draw: repeated(DRAWS.closeConnections, 800, 2_500) },
  empty: {
    about: "Redis comes back empty",
    draw: repeated(DRAWS.emptyRedis, 4_000, 6_000),
    losesData: true,
  },
  failover: {
    about: "another Redis takes its place, without the last writes",
    draw: (random, stage) => withCuts(random, stage, repeated(DRAWS.failOver, 4_000, 6_000)(random, stage)),
    losesData: true,
    proxied: true,
    failsOver: true,
    notForStock: "a stock node keeps nothing in Redis that could be lost",
  },
  "half-open": {
    about: "bytes between nodes and Redis go nowhere for a while",
    draw: repeated(DRAWS.halfOpen, 4_000, 6_000),
    proxied: true,
  },
  slow: {
    about: "a reader stops reading its TCP socket in a busy room",
    draw: (random, stage) =>
      series({ ...stage, seconds: stage.seconds - 9 }, () => ({
        fault: DRAWS.stopReading(random, stage),
        gapMs: random.whole(2_000, 4_000),
      })),
    // 3 MB a second to each client: more than the buffers of the connections on the way take, several times over.
    mostClients: 7,
    rooms: 2,
    bodyBytes: 50_000,
    env: { MAX_OUTBOUND_BYTES: "262144" },
    notForStock: "nothing bounds what a stock node keeps for a slow reader",
  },
  freeze: { about: "a node is stopped for longer than its lease", draw: repeated(DRAWS.freezeNode, 5_000, 7_000) },
  mixed: {
    about: "all of these, drawn from the seed",
    draw: drawMixed,
    losesData: true,
    proxied: true,
    failsOver: true,
  },
};

/** So many of the last clients come late or go for good during a run, where there are enough. */
const GOING: readonly Departure[] = ["leaves", "disconnects", "vanishes"];
const LEAST_CLIENTS_FOR_GOING = 8;

/** How many clients are there from beginning to end: the first ones. */
export function staying(clients: number): number {
  return clients >= LEAST_CLIENTS_FOR_GOING ? clients - GOING.length - 1 : clients;
}

/** The faults of a run, in the order of their moments: the same for the same scenario, seed and stage. */
export function planOf(name: string, seed: number, stage: Stage): PlannedFault[] {
  const scenario = SCENARIOS[name];
  if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
  const random = new Random(`${name} ${seed}`);
  const planned = scenario.draw(random, stage);
  const inTheMiddle = () => random.whole(stage.seconds * 200, stage.seconds * 700);
  if (staying(stage.clients) < stage.clients) {
    const last = stage.clients - 1;
    for (const [index, how] of GOING.entries()) {
      planned.push({ atMs: inTheMiddle(), fault: { kind: "depart", client: last - index, how } });
    }
    planned.push({ atMs: inTheMiddle(), fault: { kind: "arrive", client: last - GOING.length } });
  }
  return planned.sort((one, other) => one.atMs - other.atMs);
}
