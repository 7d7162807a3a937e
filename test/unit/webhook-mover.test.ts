import { describe, expect, it } from "vitest";
import type { OutboxEntry, WebhookEvent } from "../../src/webhooks/events.ts";
import { type Added, type Destination, Mover, type MoverOptions } from "../../src/webhooks/mover.ts";
import type { Taken } from "../../src/webhooks/outbox.ts";
import { eventually } from "../support/eventually.ts";
import { stopsWithTest } from "../support/teardown.ts";

/** With a pause after each, fifty turns would take ten seconds. */
const TURNS = 50;
/** What was refused comes again after a second, and again. */
const AGAIN = { withinMs: 10_000 };

const message = (n: number): OutboxEntry => ({
  id: `${n}-0`,
  fields: new Map(Object.entries({ k: "message", e: "epoch", s: String(n), b: `{"id":"m${n}"}` })),
});
const idsOf = (events: readonly WebhookEvent[]) => events.map(({ json }) => JSON.parse(json).data.message.id);

/** An endpoint's queue that takes what it is given, unless it is told to refuse. */
class Queue implements Destination {
  readonly name: string;
  readonly got: string[] = [];
  refuses = false;
  /** While it refuses, the first so many of each try come in. */
  takes = 0;
  refused = 0;

  constructor(name: string) {
    this.name = name;
  }

  wants({ roomType }: WebhookEvent): boolean {
    return this.name === "all" || roomType === this.name;
  }

  async add(events: readonly WebhookEvent[]): Promise<Added> {
    const taken = this.refuses ? events.slice(0, this.takes) : events;
    this.got.push(...idsOf(taken));
    if (!this.refuses) return { kind: "added" };
    this.refused += 1;
    return { kind: "refused", events: taken.length, error: new Error(`${this.name} refuses`) };
  }
}

function startMover(
  outbox: Partial<MoverOptions["outbox"]>,
  destinations: readonly Destination[] = [],
  tend = async (_room: string) => true,
) {
  const failures: string[] = [];
  const mover = new Mover({
    outbox: {
      take: async () => ({ kind: "busy" }),
      release: async () => undefined,
      claimDue: async () => [],
      retire: async () => undefined,
      ...outbox,
    },
    destinations,
    tend,
    look: async () => undefined,
    dropped: expect.fail,
    failed: (_where, error) => failures.push(String(error)),
  });
  stopsWithTest(() => mover.close(0));
  mover.start();
  return { mover, failures };
}

/** Outboxes in memory; a room of `broken` is refused. */
function outboxes(rooms: Record<string, OutboxEntry[]>, broken = new Set<string>()) {
  const refuse = (room: string) => {
    if (broken.has(room)) throw new Error(`${room} is refused`);
  };
  return {
    async take(room: string): Promise<Taken> {
      refuse(room);
      return { kind: "taken", entries: [...(rooms[room] ?? [])], dropped: 0, more: false };
    },
    async release(room: string, entries: readonly OutboxEntry[]) {
      refuse(room);
      rooms[room]?.splice(0, entries.length);
    },
  };
}

describe("moving events of webhooks", () => {
  it("[G4] a room that holds more than one turn takes is emptied turn by turn, without a pause between them", async () => {
    let left = TURNS;
    const { mover, failures } = startMover({
      take: async (): Promise<Taken> => {
        left -= 1;
        return { kind: "taken", entries: [], dropped: 0, more: left > 0 };
      },
    });
    mover.touched("chat:1");
    await eventually(() => expect(left).toBe(0));
    expect(failures).toEqual([]);
  });

  it("[G4] a room whose outbox is refused holds up no other, and its events come once it is not", async () => {
    const rooms = { "chat:ill": [message(1)], "chat:well": [message(2)] };
    const broken = new Set(["chat:ill"]);
    const all = new Queue("all");
    const { mover, failures } = startMover(outboxes(rooms, broken), [all]);
    mover.touched("chat:ill");
    mover.touched("chat:well");
    await eventually(() => expect(failures.length).toBeGreaterThan(1), AGAIN);
    expect(all.got).toEqual(["m2"]);
    expect(rooms).toEqual({ "chat:ill": [message(1)], "chat:well": [] });
    broken.clear();
    await eventually(() => expect(all.got).toEqual(["m2", "m1"]), AGAIN);
  });

  it("[G4] a fault in one turn is told, and does not end the moving", async () => {
    const rooms = { "chat:1": [message(1)] };
    const all = new Queue("all");
    let faults = 1;
    all.wants = () => {
      if (faults > 0) {
        faults -= 1;
        throw new TypeError("a fault");
      }
      return true;
    };
    const { mover, failures } = startMover(outboxes(rooms), [all]);
    mover.touched("chat:1");
    await eventually(() => expect(all.got).toEqual(["m1"]), AGAIN);
    expect(failures).toEqual(["TypeError: a fault"]);
  });

  it("[G4] a queue that refuses gets all once it does not; the others get each event once, and what comes meanwhile", async () => {
    const rooms = { "chat:1": [message(1), message(2)], "game:1": [message(3)] };
    const [all, chat] = [new Queue("all"), new Queue("chat")];
    chat.refuses = true;
    const { mover } = startMover(outboxes(rooms), [all, chat]);
    mover.touched("chat:1");
    mover.touched("game:1");
    await eventually(() => expect(chat.refused).toBeGreaterThan(0));
    // It waits for nobody that refuses.
    await eventually(() => expect(rooms["game:1"]).toEqual([]));
    rooms["chat:1"].push(message(4));
    mover.touched("chat:1");
    await eventually(() => expect(all.got).toHaveLength(4), AGAIN);
    const before = chat.refused;
    await eventually(() => expect(chat.refused).toBeGreaterThan(before), AGAIN);
    expect(all.got.sort()).toEqual(["m1", "m2", "m3", "m4"]);
    expect(rooms["chat:1"]).toHaveLength(3);
    chat.refuses = false;
    await eventually(() => expect(rooms["chat:1"]).toEqual([]), AGAIN);
    expect(chat.got).toEqual(["m1", "m2", "m4"]);
    expect(all.got).toHaveLength(4);
  });

  it("[G4] what a queue took before it refused is not moved there twice, in whichever room it was", async () => {
    const rooms = { "chat:1": [message(1), message(2)], "chat:2": [message(3), message(4)], "chat:3": [message(5)] };
    const all = new Queue("all");
    all.refuses = true;
    all.takes = 3;
    const { mover } = startMover(outboxes(rooms), [all]);
    for (const room of Object.keys(rooms)) mover.touched(room);
    await eventually(() => expect(all.refused).toBe(1));
    expect(all.got).toEqual(["m1", "m2", "m3"]);
    await eventually(() => expect(rooms["chat:1"]).toEqual([]));
    all.refuses = false;
    await eventually(() => expect(Object.values(rooms).flat()).toEqual([]), AGAIN);
    expect(all.got).toEqual(["m1", "m2", "m3", "m4", "m5"]);
  });

  it("[G9] what another node holds is looked at again after a while, not at once", async () => {
    let looks = 0;
    const take = async (): Promise<Taken> => {
      looks += 1;
      return { kind: "busy" };
    };
    const { mover } = startMover({ take });
    // As many as one turn takes: more are not waited for.
    for (let room = 0; room < 100; room++) mover.touched(`chat:${room}`);
    await eventually(() => expect(looks).toBeGreaterThan(100), AGAIN);
    expect(looks).toBe(200);
  });

  it("[G4] a dead node's room that cannot be tended keeps no other from being looked at", async () => {
    const rooms = { "_node:ill": [message(1)], "chat:due": [message(2)] };
    const all = new Queue("all");
    const claimDue = async () => Object.keys(rooms).map((room) => ({ room, claim: "1" }));
    const tend = async (room: string) => {
      if (room === "_node:ill") throw new Error("refused");
      return true;
    };
    const { failures } = startMover({ ...outboxes(rooms), claimDue }, [all], tend);
    await eventually(() => expect(all.got).toContain("m2"), AGAIN);
    expect(failures).toEqual(["Error: refused"]);
  });

  it("[G4] events whose removal is refused are in the queues once, and leave later", async () => {
    const rooms = { "chat:1": [message(1)] };
    const all = new Queue("all");
    const boxes = outboxes(rooms);
    let refusals = 2;
    const release: MoverOptions["outbox"]["release"] = async (room, entries) => {
      if (refusals-- > 0) throw new Error("refused");
      await boxes.release(room, entries);
    };
    const { mover } = startMover({ ...boxes, release }, [all]);
    mover.touched("chat:1");
    await eventually(() => expect(rooms["chat:1"]).toEqual([]), AGAIN);
    expect(refusals).toBe(-1);
    expect(all.got).toEqual(["m1"]);
  });
});
