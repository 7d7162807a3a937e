import { describe, expect, it, onTestFinished, vi } from "vitest";
import { MissingRight, RoomcastError } from "../../src/errors.ts";
import type { Joined, JoinRequest, Presence, Seat } from "../../src/presence/presence.ts";
import { type Occupancy, type RoomIndex, Seats } from "../../src/presence/seats.ts";
import { eventually } from "../support/eventually.ts";

const GRACE_MS = 60_000;
const JOINED: Joined = {
  position: { epoch: "e1", seq: 0, ts: 0 },
  version: 1,
  memberCount: 1,
  members: [],
  cursor: undefined,
};

/** What was sent to Redis, in order; each answer waits for `answer` where the test holds them back. */
class ModelStore implements Presence, RoomIndex, Occupancy {
  readonly sent: string[] = [];
  /** What the list of occupied rooms was told. */
  readonly told: string[] = [];
  refused: string | undefined;
  /** What cannot be done, whoever asks. */
  broken: string | undefined;
  /** What this node has no right to for now. */
  forbidden: string | undefined;
  /** All that was asked for by the joins. */
  readonly joins: JoinRequest[] = [];
  holding = false;
  /** States are asked for as the rest is; otherwise they are stored at once. */
  holdsStates = false;
  readonly #waiting: (() => void)[] = [];

  join(request: JoinRequest): Promise<Joined> {
    this.joins.push(request);
    const { room, connection, tells } = request;
    return this.#send(`join ${room} ${connection}${tells === undefined ? "" : ` to ${tells}`}`, JOINED);
  }

  leave({ room, connection }: Seat): Promise<void> {
    return this.#send(`leave ${room} ${connection}`, undefined);
  }

  async setState({ room, connection }: Seat, state: string): Promise<void> {
    if (this.holdsStates) await this.#send(`state ${room} ${connection} ${state}`, undefined);
  }

  members(): never {
    throw new Error("nobody asks");
  }

  noteRoom(room: string): Promise<void> {
    return this.#send(`note ${room}`, undefined);
  }

  forgetRoom(room: string): Promise<void> {
    return this.#send(`forget ${room}`, undefined);
  }

  occupied(room: string): void {
    this.told.push(`occupied ${room}`);
  }

  async vacated(room: string): Promise<void> {
    this.told.push(`vacated ${room}`);
  }

  take(): string[] {
    return this.sent.splice(0);
  }

  /** Everything that is waiting is answered. */
  async answer(): Promise<void> {
    for (const resolve of this.#waiting.splice(0)) resolve();
    await new Promise(setImmediate);
  }

  async #send<Answer>(what: string, answer: Answer): Promise<Answer> {
    this.sent.push(what);
    if (this.refused !== undefined && what.startsWith(this.refused)) throw new RoomcastError("unavailable");
    if (what === this.broken) throw new Error("WRONGTYPE");
    if (what === this.forbidden) throw new MissingRight("NOPERM");
    if (this.holding) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return answer;
  }
}

function seat(connection: string, room = "chat:1"): JoinRequest {
  const retention = { maxMessages: 1, maxBytes: 1, maxAgeMs: 1 };
  return {
    room,
    connection,
    attempt: 1,
    user: connection,
    name: undefined,
    state: undefined,
    maxMembers: 0,
    retention,
  };
}

function seats(failed: (error: unknown) => void = fail) {
  const store = new ModelStore();
  return { store, seats: new Seats(store, store, store, failed) };
}

function fail(error: unknown): void {
  throw error;
}

describe("the seats of a node", () => {
  it("[G4] tells of a room's first member here and of its last one, and of nobody between them", async () => {
    const { store, seats: all } = seats();
    store.refused = "join";
    await expect(all.join(seat("a"))).rejects.toMatchObject({ code: "unavailable" });
    expect(store.told).toEqual([]);
    store.refused = undefined;
    for (const connection of ["a", "b", "c"]) await all.join(seat(connection));
    expect(store.told).toEqual(["occupied chat:1"]);
    for (const connection of ["a", "b", "c"]) await all.leave(seat(connection));
    await store.answer();
    expect(store.told).toEqual(["occupied chat:1", "vacated chat:1"]);
    expect(store.take().at(-1)).toBe("forget chat:1");
  });

  it("[G4] the index has a room before anybody sits in it, also where the first try to note it failed", async () => {
    // The room's second connection used to be let in beside a first one whose note Redis had refused: a ghost for ever.
    const { store, seats: all } = seats();
    store.refused = "note";
    const first = all.join(seat("a"));
    const second = all.join(seat("b"));
    await expect(first).rejects.toMatchObject({ code: "unavailable" });
    await expect(second).rejects.toMatchObject({ code: "unavailable" });
    store.refused = undefined;
    store.take();
    await all.join(seat("c"));
    await all.join(seat("d"));
    expect(store.take()).toEqual(["note chat:1", "join chat:1 c", "join chat:1 d"]);
  });

  it("[G4] after a renewal the index has a room before the next one sits down in it", async () => {
    const { store, seats: all } = seats();
    await all.join(seat("a"));
    all.renewed(false, 0);
    store.take();
    await all.join(seat("b"));
    expect(store.take()).toEqual(["note chat:1", "join chat:1 b"]);
  });

  it("[G5] puts back whom the store lost, quietly, and whom others saw leave, once, for all to see", async () => {
    const { store, seats: all } = seats();
    await all.join(seat("a"));
    all.renewed(true, 0);
    store.take();
    store.refused = "join";
    await expect(all.putBack()).rejects.toMatchObject({ code: "unavailable" });
    store.refused = undefined;
    // The store lost everything before it was done: the others have still seen them leave.
    all.renewed(false, 0);
    store.take();
    await all.putBack();
    expect(store.take()).toEqual(["note chat:1", "join chat:1 a to everybody"]);
    await all.putBack();
    expect(store.take()).toEqual([]);
    await all.putBackIn("chat:1");
    expect(store.take()).toEqual(["note chat:1", "join chat:1 a to nobody"]);
  });

  it("[G5] what the store has kept is not written over what is known, and a room that is full takes back who was in", async () => {
    vi.useFakeTimers({ toFake: ["performance"], now: 10_000_000 });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const { store, seats: all } = seats();
    for (const connection of ["a", "b"]) await all.join({ ...seat(connection), state: "{}", maxMembers: 2 });
    vi.advanceTimersByTime(2_000);
    const since = performance.now();
    vi.advanceTimersByTime(500);
    await all.join({ ...seat("c"), state: "{}", maxMembers: 2 });
    await all.setState(seat("b"), '{"away":true}');
    vi.advanceTimersByTime(600_000);
    all.renewed(false, since);
    store.joins.length = 0;
    await all.putBack();
    expect(
      store.joins.map(({ connection, state, keepsKnown, maxMembers }) => [connection, state, keepsKnown, maxMembers]),
    ).toEqual([
      ["a", "{}", true, 0],
      ["b", '{"away":true}', false, 0],
      ["c", "{}", false, 0],
    ]);
  });

  it("[G5] until all are put back, what an earlier failover may have lost stays in doubt", async () => {
    vi.useFakeTimers({ toFake: ["performance"], now: 10_000_000 });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const { store, seats: all } = seats();
    const before = performance.now();
    vi.advanceTimersByTime(2_000);
    await all.join({ ...seat("a"), state: "{}" });
    vi.advanceTimersByTime(60_000);
    all.renewed(false, before);
    all.renewed(true, performance.now());
    store.joins.length = 0;
    await all.putBack();
    all.renewed(true, performance.now());
    await all.putBack();
    expect(store.joins.map(({ keepsKnown }) => keepsKnown)).toEqual([false, true]);
  });

  it("[G5] a room that cannot be joined keeps nobody else from being put back, and is told of", async () => {
    const failures: unknown[] = [];
    const { store, seats: all } = seats((error) => failures.push(error));
    for (const room of ["chat:1", "chat:2", "chat:3"]) await all.join(seat("a", room));
    all.renewed(false, 0);
    store.take();
    store.broken = "join chat:2 a to nobody";
    await all.putBack();
    expect(store.take()).toContain("join chat:3 a to nobody");
    expect(failures).toEqual([new Error("WRONGTYPE")]);
    await all.putBack();
    expect(store.take()).toEqual([]);
    // One that nobody can be taken out of, neither.
    store.broken = "leave chat:2 a";
    all.leaveQuietly(seat("a", "chat:2"));
    all.renewed(false, 0);
    store.take();
    await all.putBack();
    expect(store.take()).toContain("join chat:3 a to nobody");
    expect(failures).toHaveLength(2);
    all.close();
  });

  it("[G5] whom a missing right keeps out is put back later, and keeps nobody else from it", async () => {
    const failures: unknown[] = [];
    const { store, seats: all } = seats((error) => failures.push(error));
    for (const room of ["chat:1", "chat:2", "chat:3"]) await all.join(seat("a", room));
    all.renewed(true, 0);
    store.take();
    store.forbidden = "join chat:2 a to everybody";
    await expect(all.putBack()).rejects.toThrow(MissingRight);
    expect(store.take()).toContain("join chat:3 a to everybody");
    expect(failures).toEqual([new MissingRight("NOPERM")]);
    store.forbidden = undefined;
    await all.putBack();
    expect(store.take()).toEqual(["note chat:2", "join chat:2 a to everybody"]);
    await all.putBack();
    expect(store.take()).toEqual([]);
  });

  it("[G5] who is in the grace counts as present, unless the others saw them leave", async () => {
    const { store, seats: all } = seats();
    await all.join(seat("a"));
    all.leaveLater(seat("a"), GRACE_MS);
    all.renewed(false, 0);
    store.take();
    await all.putBack();
    expect(store.take()).toEqual(["note chat:1", "join chat:1 a to nobody"]);
    all.renewed(true, 0);
    await all.putBack();
    expect(store.take()).toEqual([]);
    all.close();
  });

  it("[G4] first finishes what is being given up, and does not put that back", async () => {
    const { store, seats: all } = seats();
    await all.join(seat("a"));
    await all.join(seat("b"));
    store.refused = "leave";
    const leaving = all.leave(seat("a"));
    store.refused = undefined;
    all.renewed(false, 0);
    store.take();
    await all.putBack();
    expect(store.take()).toEqual(["leave chat:1 a", "note chat:1", "join chat:1 b to nobody"]);
    await leaving;
  });

  it("[G4] what is left of an older join keeps no newer one of the same connection from being put back", async () => {
    const { store, seats: all } = seats();
    store.refused = "join";
    await expect(all.join(seat("a"))).rejects.toMatchObject({ code: "unavailable" });
    store.refused = "leave";
    const leaving = all.leave(seat("a"));
    store.refused = undefined;
    await all.join({ ...seat("a"), attempt: 2 });
    all.renewed(false, 0);
    store.take();
    await all.putBack();
    expect(store.take()).toEqual(["leave chat:1 a", "note chat:1", "join chat:1 a to nobody"]);
    await leaving;
  });

  it("[G4] a seat that cannot be given up is told of, and tried again until it is", async () => {
    const failures: unknown[] = [];
    const { store, seats: all } = seats((error) => failures.push(error));
    await all.join(seat("a"));
    store.forbidden = "leave chat:1 a";
    const leaving = all.leave(seat("a"));
    await eventually(() => expect(failures).toEqual([new MissingRight("NOPERM")]));
    store.forbidden = undefined;
    await leaving;
    expect(store.take().filter((line) => line.startsWith("leave"))).toEqual(["leave chat:1 a", "leave chat:1 a"]);
  });

  it("[G4] at most 500 a turn; who leaves meanwhile stays out, and who has another state has it", async () => {
    // The later ones used to be chosen before the earlier ones were sent: whoever left meanwhile was put back.
    const { store, seats: all } = seats();
    const connections = Array.from({ length: 1_200 }, (_, index) => `c${index}`);
    for (const connection of connections) await all.join(seat(connection));
    all.renewed(false, 0);
    store.take();
    store.holding = true;
    const done = all.putBack();
    expect(store.take().filter((line) => line.startsWith("join"))).toHaveLength(500);
    const left = all.leave(seat("c700"));
    await all.setState(seat("c701"), "{}");
    store.take();
    await store.answer();
    const second = store.take();
    expect(second.filter((line) => line.startsWith("join"))).toHaveLength(500);
    expect(second).not.toContain("join chat:1 c700 to nobody");
    expect(second).toContain("join chat:1 c701 to nobody");
    store.holding = false;
    await store.answer();
    expect(store.take().filter((line) => line.startsWith("join"))).toHaveLength(199);
    await Promise.all([done, left]);
  });

  it("[G9] where nobody waits 500 at a time are given up, each once, and one that is refused holds up no other", async () => {
    const failures: unknown[] = [];
    const { store, seats: all } = seats((error) => failures.push(error));
    onTestFinished(() => all.close());
    const connections = Array.from({ length: 1_200 }, (_, index) => `c${index}`);
    await Promise.all(connections.map((connection) => all.join(seat(connection))));
    store.take();
    store.holding = true;
    store.broken = "leave chat:1 c0";
    for (const connection of connections) all.leaveQuietly(seat(connection));
    await new Promise(setImmediate);
    const sent = store.take();
    expect(sent).toHaveLength(501);
    // Whoever waits for it does not wait for the others.
    const waited = all.leave(seat("somebody"));
    expect(store.take()).toEqual(["leave chat:1 somebody"]);
    for (let turn = 0; turn < 3; turn++) await store.answer();
    await waited;
    sent.push(...store.take().filter((what) => what.startsWith("leave")));
    expect(sent.toSorted()).toEqual(connections.map((connection) => `leave chat:1 ${connection}`).toSorted());
    expect(failures).toHaveLength(1);
  });

  it("[G5] while Redis is away 500 of those who left are tried again, not all of them", async () => {
    const { store, seats: all } = seats();
    const connections = Array.from({ length: 5_000 }, (_, index) => `c${index}`);
    await Promise.all(connections.map((connection) => all.join(seat(connection))));
    store.take();
    store.refused = "leave";
    for (const connection of connections) all.leaveQuietly(seat(connection));
    await eventually(() => expect(store.sent.length).toBeGreaterThanOrEqual(1_000));
    expect(new Set(store.take()).size).toBe(500);
    store.refused = undefined;
    const left = () => new Set(store.sent.filter((what) => what.startsWith("leave"))).size;
    await eventually(() => expect(left()).toBe(5_000));
  });

  it("[G4] who is put back while another state is under way is put back with that one", async () => {
    const { store, seats: all } = seats();
    await all.join({ ...seat("a"), state: "{}" });
    store.holding = true;
    store.holdsStates = true;
    const telling = all.setState(seat("a"), '{"new":1}');
    all.renewed(false, 0);
    const puttingBack = all.putBack();
    await store.answer();
    await store.answer();
    await Promise.all([telling, puttingBack]);
    expect(store.joins.at(-1)).toMatchObject({ connection: "a", state: '{"new":1}' });
    // One that is refused is not what the room knows.
    store.holding = false;
    store.broken = 'state chat:1 a {"other":1}';
    await expect(all.setState(seat("a"), '{"other":1}')).rejects.toThrow("WRONGTYPE");
    all.renewed(false, 0);
    await all.putBack();
    expect(store.joins.at(-1)).toMatchObject({ connection: "a", state: '{"new":1}' });
  });
});
