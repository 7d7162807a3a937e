import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ERRORS } from "../../src/errors.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { Dice } from "../support/dice.ts";
import { eventually } from "../support/eventually.ts";
import { rawFrame, requestFrame } from "../support/hostile-input.ts";
import { connectRaw, openRaw, type RawClient } from "../support/raw-client.ts";
import { RawPolling } from "../support/raw-polling.ts";
import { describeWithRedis } from "../support/redis.ts";
import { connectWitness } from "../support/witness.ts";

/** `FUZZ_SEED=7 npx vitest run --project hardening fuzz` runs what failed again. */
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);
const INPUTS = { requests: 85_000, frames: 9_000, polled: 6_500, redis: 5_000 };
const WARM_UP_INPUTS = 15_000;
/** Fewer than `MAX_PENDING_REQUESTS`, so that everything is served. */
const WINDOW = 48;
/** A payload may ask for no answer at all, and the next heartbeat is 25 s away: then the next session begins. */
const PATIENCE_MS = 1_000;
const CONNECTIONS = 4;
/** What is left after the garbage is gone may move by this much, whatever was sent meanwhile. */
const GROWTH_BYTES = 4 * 1024 * 1024;
const CODES: readonly string[] = Object.keys(ERRORS).filter((code) => code !== "internal");

const ROOM_TYPE = { history: { maxMessages: 20, maxBytes: 65_536, maxAgeSeconds: 3_600 } };

/** One node without limits of rate, so that every input reaches what it is meant for. */
async function startTarget(env: Record<string, string> = {}): Promise<TestCluster> {
  const folder = mkdtempSync(join(tmpdir(), "roomcast-fuzz-"));
  const types = join(folder, "types.json");
  writeFileSync(types, JSON.stringify({ fuzz: ROOM_TYPE, chat: ROOM_TYPE }));
  try {
    return await startCluster({
      nodes: 1,
      env: {
        RATE_LIMITS: "off",
        ROOM_TYPES: types,
        DEDUPE_SECONDS: "1",
        FEED_LINGER_MS: "100",
        GRACE_SECONDS: "0",
        NODE_OPTIONS: `--import=${join(import.meta.dirname, "../support/gc-on-signal.mjs")}`,
        ...env,
      },
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Sends requests one behind the other; resolves once each of them was answered with ok or with an error of the table. */
async function sendRequests(client: RawClient, dice: Dice, count: number): Promise<void> {
  const waiting = new Map<number, string>();
  let sent = 0;
  await new Promise<void>((resolve, reject) => {
    const more = () => {
      while (sent < count && waiting.size < WINDOW) {
        const frame = requestFrame(dice, sent);
        waiting.set(sent, frame);
        sent += 1;
        client.send(frame);
      }
      if (waiting.size === 0) resolve();
    };
    client.socket.addEventListener("close", () => {
      reject(new Error(`closed with these unanswered: ${[...waiting.values()].join("\n").slice(0, 2_000)}`));
    });
    client.onFrame = (frame) => {
      const [, id = "", text = ""] = /^43(\d+)(.*)$/s.exec(frame) ?? [];
      const request = waiting.get(Number(id));
      if (id === "" || request === undefined) return;
      const [ack] = JSON.parse(text) as [{ ok: boolean; error?: { code: string; message: string } }];
      if (!ack.ok && !CODES.includes(ack.error?.code ?? "")) reject(new Error(`${request}\n${text}`));
      waiting.delete(Number(id));
      more();
    };
    more();
  });
}

/** Raw frames over connections that they may end, before and after authenticating. */
async function sendFrames(url: string, dice: Dice, count: number): Promise<void> {
  let client: RawClient | undefined;
  for (let sent = 0; sent < count; sent++) {
    if (client === undefined || !client.isOpen) client = await (dice.oneIn(3) ? openRaw(url) : connectRaw(url));
    client.send(rawFrame(dice));
    // A closing that is under way shows in a later turn.
    if (dice.oneIn(8)) await new Promise((resolve) => setImmediate(resolve));
  }
  client?.close();
}

/** Payloads of several packets, good and damaged, by polling. */
async function sendPolled(url: string, dice: Dice, count: number): Promise<void> {
  let polling = await RawPolling.connect(url);
  for (let sent = 0; sent < count; ) {
    const size = 1 + dice.below(40);
    const damaged = dice.oneIn(3);
    const packets = Array.from({ length: size }, () =>
      damaged ? rawFrame(dice) : requestFrame(dice, dice.below(1e6)),
    );
    sent += size;
    await polling.post(packets.map(String).join("\u001e"));
    if ((await polling.pollOrLeave(PATIENCE_MS)) === "") polling = await RawPolling.connect(url);
  }
  await polling.close();
}

/** Bytes of heap that are left once garbage was collected and nobody is connected. */
async function restingHeap(cluster: TestCluster): Promise<number> {
  await eventually(
    async () => {
      const text = await (await fetch(`${cluster.adminUrls[0]}/metrics`)).text();
      expect(text.match(/^roomcast_(connections|feeds) \d+$/gm)).toEqual([
        "roomcast_connections 0",
        "roomcast_feeds 0",
      ]);
    },
    { withinMs: 20_000 },
  );
  const heaps = () => cluster.logs(0).filter((line) => /^heap \d+$/.test(line));
  const before = heaps().length;
  await cluster.kill(0, "SIGUSR2");
  return await eventually(() => {
    const heap = heaps().at(-1);
    if (heap === undefined || heaps().length === before) throw new Error("the node does not say its heap");
    return Number(heap.slice("heap ".length));
  });
}

/** Everything at once, each source with numbers of its own, so that one seed is one run of each. */
async function attack(url: string, seed: number, counts: { requests: number; frames: number; polled: number }) {
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => connectRaw(url)));
  await Promise.all([
    ...clients.map((client, n) => sendRequests(client, new Dice(seed + n), Math.ceil(counts.requests / CONNECTIONS))),
    sendFrames(url, new Dice(seed + 100), counts.frames),
    sendPolled(url, new Dice(seed + 200), counts.polled),
  ]);
  for (const client of clients) client.close();
}

/** The node lives, serves as before, and has nothing to report. */
async function expectUnharmed(cluster: TestCluster): Promise<void> {
  expect(cluster.node(0).isAlive()).toBe(true);
  const witness = await connectWitness(cluster.urls[0] ?? "");
  await witness.ok("joinRoom", { room: "chat:after" });
  const { seq } = await witness.ok("sendMessage", { room: "chat:after", data: 1 });
  await eventually(() => expect(witness.of("message").at(-1)?.seq).toBe(seq));
  witness.socket.disconnect();
  expect(cluster.logs(0).filter((line) => /"level":"(error|fatal)"|Unhandled|Warning/.test(line))).toEqual([]);
}

describe(`whoever sends anything at all (seed ${SEED})`, () => {
  it("[G9] 100,000 inputs: no crash, no unhandled rejection, no growth, and every request gets a named answer", async () => {
    const cluster = await startTarget({ REDIS_URL: "memory:" });
    const url = cluster.urls[0] ?? "";
    await attack(url, SEED, { requests: WARM_UP_INPUTS, frames: 1_000, polled: 500 });
    const before = await restingHeap(cluster);
    await attack(url, SEED + 1_000, INPUTS);
    await expectUnharmed(cluster);
    expect((await restingHeap(cluster)) - before).toBeLessThan(GROWTH_BYTES);
  });
});

describeWithRedis(`whoever sends anything at all, on Redis (seed ${SEED})`, () => {
  it("[G9] 5,000 requests: each gets a named answer, and none breaks a script", async () => {
    const cluster = await startTarget();
    const client = await connectRaw(cluster.urls[0] ?? "");
    await sendRequests(client, new Dice(SEED), INPUTS.redis);
    client.close();
    await expectUnharmed(cluster);
  });
});
