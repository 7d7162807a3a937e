import { EventEmitter } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import type { Ack, RequestName, ServerEvents } from "../../src/protocol.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { startEmbedded } from "../support/embedded.ts";
import { eventually } from "../support/eventually.ts";
import { PingingSocket } from "../support/pinging-socket.ts";
import { connectRaw } from "../support/raw-client.ts";
import { polling, RawWebSocket } from "../support/raw-engine.ts";
import { RawPolling } from "../support/raw-polling.ts";
import { describeWithRedis } from "../support/redis.ts";
import { connectWitness, type Witness } from "../support/witness.ts";

const ROOM = "chat:flood";
const SEPARATOR = "\u001e";

/** The most that one turn may take from the others while somebody floods, in milliseconds. */
const HELD_MS = 1_000;

/** Messages that one client wants to be rid of, after an outage. */
const BACKLOG = 80;

const FLOODS: Record<RequestName, object> = {
  joinRoom: { room: ROOM },
  leaveRoom: { room: ROOM },
  sendMessage: { room: ROOM, data: 1 },
  sendSignal: { room: ROOM, event: "e" },
  getHistory: { room: ROOM },
  getMembers: { room: ROOM },
  setState: { room: ROOM, state: {} },
  renewToken: { token: "made.up.token" },
  kickMember: { room: ROOM, user: "nobody" },
  unbanMember: { room: ROOM, user: "nobody" },
  closeRoom: { room: "chat:elsewhere" },
};

/** Of somebody who says nothing else. */
async function openSession(url: string): Promise<string> {
  const [open = ""] = (await polling.get(url)).packets;
  return (JSON.parse(open.slice(1)) as { sid: string }).sid;
}

describe("whoever sends without end", () => {
  let cluster: TestCluster;
  let member: Witness;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 1, env: { REDIS_URL: "memory:" } });
    member = await connectWitness(cluster.urls[0] ?? "", { claims: { sub: "ada" } });
    await member.ok("joinRoom", { room: "chat:quiet" });
    return () => cluster.stop();
  });
  const url = () => cluster.urls[0] ?? "";

  /** Somebody else is served, and soon, while `work` goes on. */
  async function othersAreServed(work: () => Promise<unknown>): Promise<void> {
    let slowest = 0;
    let working = true;
    const asking = (async () => {
      while (working) {
        const started = performance.now();
        await member.ok("setState", { room: "chat:quiet", state: {} }).catch((error: Error) => {
          if (!error.message.includes("rate_limited")) throw error;
        });
        slowest = Math.max(slowest, performance.now() - started);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
    try {
      await work();
    } finally {
      working = false;
    }
    await asking;
    expect(slowest).toBeLessThan(HELD_MS);
    expect(member.socket.connected).toBe(true);
    expect(cluster.node(0).isAlive()).toBe(true);
  }

  for (const [name, payload] of Object.entries(FLOODS)) {
    it(`[G9] a flood of ${name}: rate_limited past the burst, and the end for who goes on`, async () => {
      await othersAreServed(async () => {
        const eve = await connectWitness(url(), { claims: { sub: "eve" }, reconnection: false });
        await eve.ok("joinRoom", { room: ROOM });
        const codes = new Set<string>();
        let answers = 0;
        for (let sent = 0; sent < 4_000; sent++) {
          eve.socket.emit(name, payload, (ack: Ack<RequestName>) => {
            answers += 1;
            codes.add(ack.ok ? "ok" : ack.error.code);
          });
          if (sent % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        await eventually(() => expect(eve.socket.connected).toBe(false));
        expect(codes).toContain("rate_limited");
        expect(answers).toBeLessThan(4_000);
        expect(eve.of("ending")).toEqual([
          { code: "rate_limited", message: "this connection went on asking past its limits" },
        ]);
      });
    });
  }

  const NOISE: Record<string, string | Uint8Array<ArrayBuffer>> = {
    "events of no request": '42["anything",1]',
    "acks that nobody waits for": "431[]",
    "acks to the id that everybody uses": "430[]",
    "handshakes for namespaces that are not there": "40/nowhere,",
    pongs: "3",
    "events with a number for a name": "42[7]",
  };
  for (const [what, frame] of Object.entries(NOISE)) {
    it(`[G9] frames without end, ${what}: the connection is cut off`, async () => {
      await othersAreServed(async () => {
        const eve = await connectRaw(url());
        for (let sent = 0; sent < 20_000 && !eve.closed; sent++) {
          eve.send(frame);
          if (sent % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        await eventually(() => expect(eve.closed).toBe(true));
      });
    });
  }

  it("[G9] pings of the websocket itself without end: the connection is cut off", async () => {
    await othersAreServed(async () => {
      const eve = await PingingSocket.connect(url());
      await eve.ping(20_000);
      await eventually(() => expect(eve.closed).toBe(true));
    });
  });

  it("[G9] probes without end, by a websocket that would take over a session: both are cut off", async () => {
    await othersAreServed(async () => {
      const sid = await openSession(url());
      const eve = await RawWebSocket.open(url(), sid);
      for (let sent = 0; sent < 20_000 && !eve.closed; sent++) {
        eve.send("2probe");
        if (sent % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await eventually(() => expect(eve.closed).toBe(true));
      expect((await polling.get(url(), sid)).status).toBe(400);
    });
  });

  it("[G9] pings without end, by a websocket that would take over a session and does not even probe: cut off", async () => {
    await othersAreServed(async () => {
      const eve = await PingingSocket.open(url(), await openSession(url()));
      await eve.ping(20_000);
      await eventually(() => expect(eve.closed).toBe(true));
    });
  });

  it("[G9] attempts to take over a session, given up again and again, leave nothing with it", async () => {
    const { url: own, node } = await startEmbedded({ env: { REDIS_URL: "memory:" } });
    const sid = await openSession(own);
    const session: unknown = Reflect.get(Reflect.get(node.io.engine, "clients"), sid);
    if (!(session instanceof EventEmitter)) throw new Error("no such session");
    const listeners = () => session.eventNames().reduce((sum, name) => sum + session.listenerCount(name), 0);
    const before = listeners();
    for (let attempt = 0; attempt < 5; attempt++) {
      const eve = await RawWebSocket.open(own, sid);
      eve.close();
      await eventually(() => expect(listeners()).toBe(before));
    }
  });

  it("[G9] a polling request of 300,000 packets: cut off before it is taken apart", async () => {
    await othersAreServed(async () => {
      for (const packet of ["", "6", "42", "3"]) {
        const eve = await RawPolling.connect(url());
        const payload = Array.from({ length: 300_000 }, () => packet).join(SEPARATOR);
        await eve.post(payload.slice(0, 999_999));
        expect(await eve.poll()).toBe("");
      }
    });
  });

  it("[G9] 10,000 rooms joined: too_many_rooms past the bound, and rate_limited", async () => {
    await othersAreServed(async () => {
      const eve = await connectWitness(url(), { reconnection: false });
      const codes = new Map<string, number>();
      for (let n = 0; n < 10_000 && eve.socket.connected; n++) {
        eve.socket.emit("joinRoom", { room: `chat:many-${n}` }, (ack: Ack<"joinRoom">) => {
          const code = ack.ok ? "ok" : ack.error.code;
          codes.set(code, (codes.get(code) ?? 0) + 1);
        });
        if (n % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
      }
      await eventually(() => expect(eve.socket.connected).toBe(false));
      expect(codes.get("ok")).toBeLessThanOrEqual(100);
      expect([...codes.keys()].sort()).toEqual(["ok", "rate_limited", "too_many_rooms"]);
    });
    const feeds = async () => await (await fetch(`${cluster.adminUrls[0]}/metrics`)).text();
    await eventually(async () => expect(await feeds()).toMatch(/^roomcast_feeds [12]$/m), { withinMs: 20_000 });
  });

  it("[G9] an ack callback for every frame, or for the same one again and again: answered once for each request", async () => {
    const eve = await connectRaw(url());
    const answers: string[] = [];
    eve.onFrame = (frame) => answers.push(frame);
    for (let time = 0; time < 5; time++) eve.send('429007199254740993["getMembers",{"room":"chat:x"}]');
    await eventually(() => expect(answers.filter((frame) => frame.startsWith("43"))).toHaveLength(5));
    // No id at all: no frame of Socket.IO, which ends the connection.
    eve.send('42-1["getMembers",{"room":"chat:x"}]');
    await eventually(() => expect(eve.closed).toBe(true));
    expect(answers).toHaveLength(5);
    expect(cluster.node(0).isAlive()).toBe(true);
  });
});

describe("many who flood one room together", () => {
  it("[G9] a room takes so many messages and signals from one node, whoever sends them", async () => {
    const cluster = await startCluster({
      nodes: 1,
      env: {
        REDIS_URL: "memory:",
        RATE_ROOM_SEND_PER_SECOND: "1",
        RATE_ROOM_SEND_BURST: "30",
        RATE_ROOM_SIGNAL_PER_SECOND: "1",
        RATE_ROOM_SIGNAL_BURST: "20",
      },
    });
    const crowd = await Promise.all(Array.from({ length: 5 }, () => connectWitness(cluster.urls[0] ?? "")));
    for (const witness of crowd) {
      await witness.ok("joinRoom", { room: ROOM });
      await witness.ok("joinRoom", { room: "chat:other" });
    }
    const sends = await Promise.all(
      crowd.flatMap((one) => Array.from({ length: 10 }, () => one.ask("sendMessage", { room: ROOM, data: 1 }))),
    );
    const signals = await Promise.all(
      crowd.flatMap((one) => Array.from({ length: 10 }, () => one.ask("sendSignal", { room: ROOM, event: "e" }))),
    );
    for (const [acks, most] of [
      [sends, 30],
      [signals, 20],
    ] as const) {
      const ok = acks.filter((ack) => ack.ok).length;
      expect(ok).toBeGreaterThanOrEqual(most);
      expect(ok).toBeLessThan(most + 5);
      for (const ack of acks) {
        if (ack.ok) continue;
        expect(ack.error).toMatchObject({
          code: "rate_limited",
          message: `${ROOM} takes no more from this node at present`,
          retryAfterMs: expect.any(Number),
        });
      }
    }
    await crowd[0]?.ok("sendMessage", { room: "chat:other", data: 1 });
  });

  it("[G9] a backlog passes for who sends each message again after its own retryAfterMs, and nobody is ended for it", async () => {
    const { urls } = await startCluster({
      nodes: 1,
      env: { REDIS_URL: "memory:", RATE_SEND_PER_SECOND: "20", RATE_SEND_BURST: "10" },
    });
    const ada = await connectWitness(urls[0] ?? "");
    await ada.ok("joinRoom", { room: ROOM });
    let refused = 0;
    const send = async (data: number): Promise<void> => {
      const ack: Ack<"sendMessage"> = await ada.ask("sendMessage", { room: ROOM, id: `m${data}`, data });
      if (ack.ok) return;
      expect(ack.error.code).toBe("rate_limited");
      refused += 1;
      await delay(ack.error.retryAfterMs);
      await send(data);
    };
    await Promise.all(Array.from({ length: BACKLOG }, (_, index) => send(index)));
    expect(ada.of("ending")).toEqual([]);
    await eventually(() => expect(ada.of("message")).toHaveLength(BACKLOG));
    // Once each, and again here and there where a timer was early: all of them, every time, would be a thousand.
    expect(refused).toBeLessThan(2 * BACKLOG);
  });
});

describeWithRedis("whoever pretends", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 1 });
    return () => cluster.stop();
  });

  it("[G1] someone else's message id is one's own: nothing is learnt, nothing is swallowed", async () => {
    const ada = await connectWitness(cluster.urls[0] ?? "", { claims: { sub: "a" } });
    const eve = await connectWitness(cluster.urls[0] ?? "", { claims: { sub: "a:b" } });
    for (const one of [ada, eve]) await one.ok("joinRoom", { room: ROOM });
    const first = await ada.ok("sendMessage", { room: ROOM, id: "b:k1", data: "hers" });
    for (const id of ["b:k1", "k1", "1:a:b:k1"]) {
      const { seq, duplicate } = await eve.ok("sendMessage", { room: ROOM, id, data: "mine" });
      expect(duplicate).toBe(false);
      expect(seq).toBeGreaterThan(first.seq);
    }
    const again = await ada.ok("sendMessage", { room: ROOM, id: "b:k1", data: "other" });
    expect(again).toMatchObject({ seq: first.seq, duplicate: true });
  });

  it("[G3] a forged since recovers nothing that was not there, and starts no epoch", async () => {
    const room = "chat:forged";
    const ada = await connectWitness(cluster.urls[0] ?? "");
    await ada.ok("joinRoom", { room });
    for (let n = 0; n < 3; n++) await ada.ok("sendMessage", { room, data: n });
    const { position } = await ada.ok("getHistory", { room });
    const eve = await connectWitness(cluster.urls[0] ?? "");
    const forged = [
      { ...position, epoch: "made-up" },
      { ...position, seq: position.seq + 1 },
      { ...position, seq: Number.MAX_SAFE_INTEGER },
      { ...position, ts: position.ts - 1 },
      { ...position, seq: 1, ts: 1 },
      { epoch: "", seq: 0 },
    ];
    for (const since of forged) {
      const joined = await eve.ok("joinRoom", { room, since });
      expect(joined, JSON.stringify(since)).toMatchObject({ recovered: false, messages: [], position });
    }
    const { seq } = await ada.ok("sendMessage", { room, data: "on" });
    expect(seq).toBe(position.seq + 1);
    const epochs: ServerEvents["resync"][] = ada.of("resync");
    expect(epochs).toEqual([]);
  });
});
