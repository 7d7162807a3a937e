import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { type NodeProcess, startNode } from "../../src/local/node-process.ts";
import { freePort } from "../../src/local/ports.ts";
import { eventually } from "../support/eventually.ts";
import { startOldRedis } from "../support/old-redis.ts";
import { startRedis } from "../support/private-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { API_KEY, JWT_SECRET } from "../support/token.ts";
import { connectWitness } from "../support/witness.ts";

const STOP_GRACE_MS = 5_000;
const OUTAGE_MS = 1_500;

/** One node that nobody waits for, and what it logs. */
async function begin(url: string): Promise<{ node: NodeProcess; lines: { level: string; msg: string }[] }> {
  const lines: { level: string; msg: string }[] = [];
  const node = startNode({
    name: "node-1",
    port: await freePort(),
    adminPort: await freePort(),
    env: { REDIS_URL: url, JWT_SECRET, API_KEYS: API_KEY, DRAIN_SECONDS: "1" },
    onLine: (line) => lines.push(line.startsWith("{") ? JSON.parse(line) : { level: "none", msg: line }),
  });
  stopsWithTest(() => node.stop(STOP_GRACE_MS));
  return { node, lines };
}

async function connectWitnessOnceServed(port: number): Promise<void> {
  await eventually(async () => {
    await connectWitness(`http://127.0.0.1:${port}`, { reconnection: false });
  });
}

describeWithRedis("the start of a node", () => {
  for (const version of ["6.2.0", "6.0.16", "5.0.7"]) {
    it(`Redis ${version}, which is too old, ends it with one sentence`, async () => {
      const { url } = await startOldRedis(version);
      const { node, lines } = await begin(url);
      expect(await node.ended).toBe("exit code 1");
      const loud = lines.filter(({ level }) => !["info", "debug"].includes(level));
      expect(loud).toMatchObject([
        { level: "fatal", msg: `Roomcast needs Redis 7 or newer, or Valkey, and found Redis ${version}.` },
      ]);
    });
  }

  it("waits for a Redis that is not there yet: live, not ready, and ready once it is", async () => {
    const server = await startRedis();
    await server.kill();
    // Several: each connection waits longer from try to try, for a time of its own, so they come back in any order.
    const nodes = (await Promise.all([begin(server.url), begin(server.url), begin(server.url)])).map(
      ({ node }) => node,
    );
    const eachSays = async (path: string, status: number) => {
      for (const { adminPort } of nodes) {
        expect((await fetch(`http://127.0.0.1:${adminPort}${path}`)).status).toBe(status);
      }
    };
    await eventually(() => eachSays("/livez", 200));
    await eachSays("/readyz", 503);
    await delay(OUTAGE_MS);
    await server.start();
    await eventually(() => eachSays("/readyz", 200));
    for (const { port } of nodes) {
      const witness = await connectWitness(`http://127.0.0.1:${port}`);
      await witness.ok("joinRoom", { room: "chat:start" });
      await witness.ok("sendMessage", { room: "chat:start", data: port });
      await eventually(() => expect(witness.of("message").at(-1)?.data).toBe(port));
    }
    expect(nodes.map((node) => node.isAlive())).toEqual([true, true, true]);
  });

  it("[G8] one that is asked to drain while it waits stays out of the balancer once its Redis is there", async () => {
    const server = await startRedis();
    await server.kill();
    const { node } = await begin(server.url);
    const admin = (path: string, method = "GET") =>
      fetch(`http://127.0.0.1:${node.adminPort}${path}`, { method, headers: { authorization: `Bearer ${API_KEY}` } });
    await eventually(async () => expect((await admin("/readyz")).status).toBe(503));
    expect((await admin("/drain", "POST")).status).toBe(202);
    await server.start();
    // It serves by then whom a balancer sends all the same.
    await connectWitnessOnceServed(node.port);
    expect(await (await admin("/readyz")).json()).toEqual({ ready: false, reason: "draining" });
  });
});
