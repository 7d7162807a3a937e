import { describe, expect, it } from "vitest";
import type { Fault } from "../../faults/fault.ts";
import type { ClientRecord, Entry, Observations, Rule, Seen, SentMessage } from "../../faults/observations.ts";
import { judge, judgeStock } from "../../faults/verdict.ts";

const ROOM = "chat:1";
const EPOCH = "first";
const LOG: Entry[] = [1, 2, 3, 4].map((seq) => ({ seq, ts: 1_000 + seq, id: `m${seq}`, user: "u0" }));

const at = (epoch: string, seq: number) => ({ epoch, seq, ts: seq === 0 ? 0 : 1_000 + seq });
const entry = (seq: number) => LOG[seq - 1] ?? { seq, ts: 1_000 + seq, id: `m${seq}`, user: "u0" };
const connected = (moment: number, node = "node-1"): Seen => ({ kind: "connected", at: moment, node });
const lost = (moment: number): Seen => ({ kind: "disconnected", at: moment, reason: "transport close" });
const message = (moment: number, seq: number): Seen => ({ kind: "message", at: moment, room: ROOM, entry: entry(seq) });
const joined = (moment: number, seq: number, epoch = EPOCH, members = ["u0", "u1"]): Seen => ({
  ...{ kind: "joined", at: moment, room: ROOM, since: undefined, recovered: false },
  ...{ position: at(epoch, seq), messages: [], members },
});
const recovered = (moment: number, since: number, missed: readonly number[]): Seen => ({
  ...{ kind: "joined", at: moment, room: ROOM, since: at(EPOCH, since), recovered: true },
  ...{ position: at(EPOCH, missed.at(-1) ?? since), messages: missed.map(entry), members: ["u0", "u1"] },
});
const left = (moment: number, user: string): Seen => ({ kind: "userLeft", at: moment, room: ROOM, user });
const came = (moment: number, user: string): Seen => ({ kind: "userJoined", at: moment, room: ROOM, user });
const resync = (moment: number): Seen => ({ kind: "resync", at: moment, room: ROOM, reason: "epoch" });
const live = (...seqs: number[]): Seen[] => seqs.map((seq) => message(100 * seq + 5, seq));

function client(name: string, user: string, seen: readonly Seen[], end = ["u0", "u1"]): ClientRecord {
  return { name, user, rooms: [ROOM], seen, departed: undefined, end: new Map([[ROOM, { members: end }]]) };
}

const SENT: SentMessage[] = LOG.map(({ seq, ts, id }) => ({
  ...{ client: "c0", room: ROOM, id, firstAt: 100 * seq, connection: "x", tries: 1, again: undefined },
  acked: { at: 100 * seq + 3, seq, ts },
}));

/** Two members who have seen four messages; `ben` is what the second one saw instead. */
function observed(
  ben: readonly Seen[] = [connected(0), joined(1, 0), ...live(1, 2, 3, 4)],
  more: Partial<Observations> = {},
) {
  const ada = client("c0", "u0", [connected(0), joined(1, 0), ...live(1, 2, 3, 4)]);
  return {
    clients: [ada, client("c1", "u1", ben)],
    sent: SENT,
    requests: [],
    faults: [],
    rooms: new Map([[ROOM, { position: at(EPOCH, 4), log: LOG, members: ["u0", "u1"] }]]),
    kitStallMs: 0,
    losesData: false,
    ...more,
  } satisfies Observations;
}

const rules = (observations: Observations): Rule[] => [
  ...new Set(judge(observations).violations.map(({ rule }) => rule)),
];
const room = (log: readonly Entry[], members = ["u0", "u1"]) =>
  new Map([[ROOM, { position: at(EPOCH, log.length), log, members }]]);
const fault = (what: Fault, from: number, until: number | undefined) => [{ fault: what, from, until }];

describe("the checks of the fault kit", () => {
  it("find nothing where all is well, through a reconnect too", () => {
    expect(judge(observed())).toMatchObject({ violations: [], acknowledged: 4, due: 8, arrived: 8, told: 0 });
    const back = [
      connected(0),
      joined(1, 0),
      ...live(1),
      lost(150),
      connected(390),
      recovered(400, 1, [2, 3]),
      message(410, 4),
    ];
    expect(judge(observed(back))).toMatchObject({
      violations: [],
      arrived: 8,
      recovery: { count: 1, p50Ms: 250, p99Ms: 250 },
    });
  });

  it("[G1] find an acknowledged message that is not in the log", () => {
    expect(rules(observed(undefined, { rooms: room(LOG.slice(0, 3)) }))).toContain("not stored once");
  });

  it("[G1] find an id that is in the log twice", () => {
    const twice = [...LOG, { ...entry(5), id: "m4" }];
    expect(rules(observed(undefined, { rooms: room(twice) }))).toContain("not stored once");
  });

  it("[G1] find an ack that names another number than the log", () => {
    const sent = SENT.map((each, index) => (index === 2 ? { ...each, acked: { at: 303, seq: 7, ts: 1_003 } } : each));
    expect(rules(observed(undefined, { sent }))).toContain("not stored once");
  });

  it("[G1] find a message that was stored anew when it was sent again", () => {
    const sent = SENT.map((each, index) => (index === 2 ? { ...each, again: { seq: 5, duplicate: false } } : each));
    expect(rules(observed(undefined, { sent }))).toEqual(["not stored once"]);
  });

  it("[G2] find messages of one connection that are stored in another order", () => {
    const sent = SENT.map((each) => ({
      ...each,
      firstAt: 500 - each.firstAt,
      acked: each.acked && { ...each.acked, at: 600 },
    }));
    expect(rules(observed(undefined, { sent: [...sent].reverse() }))).toContain("out of order");
  });

  it("[G2] find a number that was skipped", () => {
    const found = judge(observed([connected(0), joined(1, 0), ...live(1, 2, 4)]));
    expect(found).toMatchObject({ due: 8, arrived: 7, outOfOrder: 1 });
    expect(found.violations.map(({ rule }) => rule)).toContain("not delivered");
  });

  it("[G2] find the last message before silence", () => {
    expect(rules(observed([connected(0), joined(1, 0), ...live(1, 2, 3)]))).toEqual(["not delivered"]);
  });

  it("[G2] find a message that came twice", () => {
    const found = judge(observed([connected(0), joined(1, 0), ...live(1, 2), message(206, 2), ...live(3, 4)]));
    expect(found).toMatchObject({ doubled: 1, arrived: 8, violations: [{ rule: "doubled" }] });
  });

  it("[G2] find messages in another order", () => {
    expect(rules(observed([connected(0), joined(1, 0), ...live(1, 3, 2, 4)]))).toContain("out of order");
  });

  it("[G2] find a ts that runs backwards", () => {
    const back = LOG.map((each) => (each.seq === 3 ? { ...each, ts: 7 } : each));
    const sent = SENT.map((each) => (each.id === "m3" ? { ...each, acked: { at: 303, seq: 3, ts: 7 } } : each));
    expect(rules(observed(undefined, { rooms: room(back), sent }))).toContain("not stored once");
    const seen = live(1, 2, 3, 4).map((each) =>
      each.kind === "message" && each.entry.seq === 3 ? { ...each, entry: { ...each.entry, ts: 7 } } : each,
    );
    expect(rules(observed([connected(0), joined(1, 0), ...seen]))).toEqual(["out of order"]);
  });

  it("[G2] find a number that is another message to somebody else", () => {
    const other: Seen = { kind: "message", at: 305, room: ROOM, entry: { ...entry(3), id: "other" } };
    expect(rules(observed([connected(0), joined(1, 0), ...live(1, 2), other, ...live(4)]))).toContain("wrong stream");
  });

  it("[G3] find a message before the join, and after resync", () => {
    expect(rules(observed([connected(0), message(1, 1), joined(2, 1), ...live(2, 3, 4)]))).toEqual(["wrong stream"]);
    const after = [connected(0), joined(1, 0), ...live(1), resync(150), ...live(2), joined(250, 2), ...live(3, 4)];
    expect(rules(observed(after, { losesData: true }))).toEqual(["wrong stream"]);
  });

  it("[G3] find a recovery whose messages do not reach its position", () => {
    const [first, ...others] = [recovered(400, 1, [2, 3]), message(410, 4)];
    const short = first?.kind === "joined" ? { ...first, messages: [entry(2)] } : connected(400);
    const seen = [connected(0), joined(1, 0), ...live(1), lost(150), short, ...others];
    expect(rules(observed(seen))).toContain("wrong stream");
  });

  it("[G5] take the word of resync for what is sent until the next join", () => {
    const away = [connected(0), joined(1, 0), ...live(1), resync(150), joined(350, 3), ...live(4)];
    expect(judge(observed(away, { losesData: true }))).toMatchObject({ violations: [], told: 2, arrived: 6 });
  });

  it("[G5] let a loss of Redis' data pass where members were told, and only there", () => {
    const anew = [
      ...[connected(0), joined(1, 0), ...live(1, 2), resync(450)],
      ...[joined(500, 0, "second"), message(510, 1)],
    ];
    const rooms = new Map([[ROOM, { position: at("second", 1), log: [entry(1)], members: ["u0", "u1"] }]]);
    const told = observed(anew, { losesData: true, rooms });
    const clients = [client("c0", "u0", anew), client("c1", "u1", anew)];
    expect(judge({ ...told, clients })).toMatchObject({ violations: [], told: 4 });
    // The same without the word.
    const silent = anew.filter(({ kind }) => kind !== "resync" && kind !== "joined");
    const deaf = [client("c0", "u0", anew), client("c1", "u1", [joined(1, 0), ...silent])];
    expect(rules({ ...told, clients: deaf })).toContain("not delivered");
    // And a word where nothing was lost.
    const needless = [connected(0), joined(1, 0), ...live(1, 2, 3, 4), resync(450), joined(500, 4)];
    expect(rules(observed(needless))).toEqual(["told without need"]);
  });

  it("[G4] find a ghost and a member that is not shown, in getMembers and in a client's own picture", () => {
    expect(rules(observed(undefined, { rooms: room(LOG, ["u0", "u1", "ghost"]) }))).toEqual(["presence wrong"]);
    expect(rules(observed(undefined, { rooms: room(LOG, ["u0"]) }))).toEqual(["presence wrong"]);
    const good = observed();
    const blind = good.clients.map((each) => ({ ...each, end: new Map([[ROOM, { members: ["u1"] }]]) }));
    expect(rules({ ...good, clients: blind })).toEqual(["presence wrong"]);
  });

  it("[G5] find somebody shown leaving who stayed, or was away for a moment only", () => {
    const viewer = [connected(0), joined(1, 0), ...live(1, 2, 3, 4), left(9_000, "u0"), came(9_100, "u0")];
    expect(rules(observed(viewer))).toEqual(["shown leaving"]);
    const shortly = [
      connected(0),
      joined(1, 0),
      ...live(1, 2, 3, 4),
      lost(7_000),
      connected(8_400),
      recovered(8_500, 4, []),
    ];
    const good = observed(viewer);
    expect(rules({ ...good, clients: [client("c0", "u0", shortly), client("c1", "u1", viewer)] })).toEqual([
      "shown leaving",
    ]);
    const long = [
      connected(0),
      joined(1, 0),
      ...live(1, 2, 3, 4),
      lost(1_000),
      connected(9_050),
      recovered(9_090, 4, []),
    ];
    expect(rules({ ...good, clients: [client("c0", "u0", long), client("c1", "u1", viewer)] })).toEqual([]);
  });

  it("[G4] let a member of a stopped node leave, and find one that is announced twice", () => {
    const stopped = fault({ kind: "freeze node", node: 0, forMs: 9_000 }, 1_000, 10_000);
    const viewer = [connected(0, "node-2"), joined(1, 0), ...live(1, 2, 3, 4), left(8_000, "u0"), came(10_500, "u0")];
    expect(rules(observed(viewer, { faults: stopped }))).toEqual([]);
    const twice = viewer.flatMap((each) => (each.kind === "userLeft" ? [each, each] : [each]));
    expect(rules(observed(twice, { faults: stopped }))).toEqual(["shown leaving"]);
    const again = viewer.flatMap((each) => (each.kind === "userJoined" ? [each, each] : [each]));
    expect(rules(observed(again, { faults: stopped }))).toEqual(["shown leaving"]);
  });

  it("[G4] let a node that stood still tell late who had left, though they are back", () => {
    const stopped = fault({ kind: "freeze node", node: 1, forMs: 10_000 }, 1_000, 11_000);
    const viewer = [connected(0, "node-2"), joined(1, 0), ...live(1, 2, 3, 4), left(11_050, "u0"), came(11_060, "u0")];
    const away = [
      connected(0),
      joined(1, 0),
      ...live(1, 2, 3, 4),
      lost(1_500),
      connected(7_500),
      recovered(7_510, 4, []),
    ];
    const clients = [client("c0", "u0", away), client("c1", "u1", viewer)];
    expect(rules({ ...observed(), clients, faults: stopped })).toEqual([]);
    expect(rules({ ...observed(), clients })).toEqual(["shown leaving"]);
  });

  it("[G4] let who lost its connection to a node that stands still be shown leaving a lease after that began", () => {
    const viewer = [connected(0), joined(1, 0), ...live(1, 2, 3, 4), left(10_110, "u0"), came(10_130, "u0")];
    const away = [
      connected(0, "node-2"),
      joined(1, 0),
      ...live(1, 2, 3, 4),
      lost(8_800),
      connected(10_120),
      recovered(10_125, 4, []),
    ];
    const clients = [client("c0", "u0", away), client("c1", "u1", viewer)];
    const stopped = (node: number) => fault({ kind: "freeze node", node, forMs: 8_000 }, 5_000, 13_000);
    expect(rules({ ...observed(), clients, faults: stopped(1) })).toEqual([]);
    expect(rules({ ...observed(), clients, faults: stopped(2) })).toEqual(["shown leaving"]);
    expect(rules({ ...observed(), clients })).toEqual(["shown leaving"]);
  });

  it("[G5] find who does not come back", () => {
    const good = observed();
    const [ada] = good.clients;
    const away = {
      ...client("c1", "u1", [connected(0), joined(1, 0), ...live(1, 2, 3, 4), lost(450)]),
      end: new Map(),
    };
    const clients = [ada ?? away, away];
    expect(rules({ ...good, clients, rooms: room(LOG, ["u0"]) })).toContain("not back");
    const gone = { ...away, departed: { at: 450, how: "disconnects" } as const };
    const others = ada === undefined ? [] : [{ ...ada, end: new Map([[ROOM, { members: ["u0"] }]]) }];
    expect(rules({ ...good, clients: [...others, gone], rooms: room(LOG, ["u0"]) })).toEqual([]);
  });

  it("[G5] find a room that cannot be read at the end", () => {
    expect(rules(observed(undefined, { rooms: new Map() }))).toEqual(["not back"]);
  });

  it("[G5] find a request that is answered late, or never, though nobody stood still", () => {
    const request = { client: "c1", name: "sendMessage", at: 2_000, afterMs: 100 };
    const asked = (outcome: string, afterMs: number) => [{ ...request, outcome, afterMs }];
    expect(rules(observed(undefined, { requests: asked("unavailable", 2_100) }))).toEqual([]);
    expect(rules(observed(undefined, { requests: asked("unavailable", 3_500) }))).toEqual(["not answered"]);
    expect(rules(observed(undefined, { requests: asked("unanswered", 6_000) }))).toEqual(["not answered"]);
    expect(rules(observed(undefined, { requests: asked("lost", 4_000) }))).toEqual([]);
    const stopped = fault({ kind: "freeze node", node: 0, forMs: 9_000 }, 1_000, 10_000);
    expect(rules(observed(undefined, { requests: asked("unanswered", 6_000), faults: stopped }))).toEqual([]);
  });
});

describe("the checks of a run against the stock adapter", () => {
  const stock = (ben: readonly Seen[]) => observed([connected(0), joined(1, 0), ...ben], { rooms: new Map() });

  it("find what did not arrive, whoever reconnected meanwhile", () => {
    expect(judgeStock(stock(live(1, 2, 3, 4)))).toMatchObject({ due: 8, arrived: 8, violations: [] });
    const found = judgeStock(stock([...live(1), lost(150), connected(280), joined(290, 0), ...live(3, 4)]));
    expect(found).toMatchObject({ due: 8, arrived: 7, told: 0, violations: [{ rule: "not delivered" }] });
  });

  it("find what came twice, and a sender's messages in another order", () => {
    expect(judgeStock(stock(live(1, 2, 2, 3, 4)))).toMatchObject({ doubled: 1, outOfOrder: 0 });
    expect(judgeStock(stock(live(1, 3, 2, 4)))).toMatchObject({ doubled: 0, outOfOrder: 1 });
  });
});
