import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { beforeEach, expect, it, onTestFinished } from "vitest";
import { freePort } from "../../src/local/ports.ts";
import { connectClient, TRANSPORTS } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { LOCAL_MAIN, runScript, startLocalCluster } from "../support/local-cluster.ts";
import { describeWithRedis } from "../support/redis.ts";

const WITHIN_MS = 30_000;
const TOKEN = join(import.meta.dirname, "../../src/local/token.ts");

/** The processes that this one has started and that still run. */
function childrenOf(pid: number | undefined): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

async function token(port: string): Promise<string> {
  const asked = runScript(TOKEN, ["--sub", "ada", "--room", "chat:*"], { PORT: port });
  expect(await asked.exit).toBe(0);
  return asked.output().trim();
}

describeWithRedis("npm start", () => {
  beforeEach(({ skip }) => skip(process.platform !== "linux", "looks at processes by /proc"));

  it("serves clients of every transport from three nodes behind one port, and ends all of it on SIGTERM", async () => {
    const cluster = await startLocalCluster();
    const ada = await token(cluster.port);
    const seen = new Set<string>();
    for (const transports of Object.values(TRANSPORTS)) {
      const clients = await Promise.all([1, 2, 3].map(() => connectClient(cluster.url, ada, { transports })));
      for (const { welcome } of clients) seen.add(welcome.node);
      for (const { socket } of clients) socket.disconnect();
    }
    expect([...seen].sort()).toEqual(["node-1", "node-2", "node-3"]);
    const nodes = childrenOf(cluster.child.pid);
    expect(nodes).toHaveLength(3);
    cluster.child.kill("SIGTERM");
    expect(await cluster.exit).toBe(0);
    await eventually(() => expect(nodes.filter(isRunning)).toEqual([]));
  });

  it("starts a node again that was killed, for callers of this machine only", async () => {
    const cluster = await startLocalCluster();
    const before = childrenOf(cluster.child.pid);
    const kill = async (name: string, headers: Record<string, string>) =>
      (await fetch(`${cluster.url}/local/nodes/${name}/kill`, { method: "POST", headers })).status;
    const ours = { "x-roomcast-local": "1" };
    const list = await fetch(`${cluster.url}/local/nodes`, { headers: ours });
    expect(await list.json()).toEqual({ nodes: ["node-1", "node-2", "node-3"] });
    expect((await fetch(`${cluster.url}/local/nodes`)).status).toBe(403);
    expect(await kill("node-2", {})).toBe(403);
    expect(await kill("node-2", { ...ours, origin: "http://example.com" })).toBe(403);
    expect(await kill("node-2", { ...ours, "x-forwarded-for": "192.0.2.1" })).toBe(403);
    expect(await kill("node-9", ours)).toBe(404);
    expect(childrenOf(cluster.child.pid)).toEqual(before);

    expect(await kill("node-2", { ...ours, origin: cluster.url })).toBe(204);
    const ada = await token(cluster.port);
    await eventually(
      async () => {
        const clients = await Promise.all([1, 2, 3].map(() => connectClient(cluster.url, ada)));
        for (const { socket } of clients) socket.disconnect();
        expect(clients.map(({ welcome }) => welcome.node)).toContain("node-2");
      },
      { withinMs: WITHIN_MS },
    );
    expect(childrenOf(cluster.child.pid).filter((pid) => before.includes(pid))).toHaveLength(2);
  });

  it("leaves nothing behind when it is killed itself", async () => {
    const cluster = await startLocalCluster();
    const nodes = childrenOf(cluster.child.pid);
    cluster.child.kill("SIGKILL");
    await cluster.exit;
    await eventually(() => expect(nodes.filter(isRunning)).toEqual([]), { withinMs: WITHIN_MS });
  });

  it("runs one node where it is to be in memory: several would not hear each other", async () => {
    const port = String(await freePort());
    const cluster = runScript(LOCAL_MAIN, [], { PORT: port, REDIS_URL: "memory:" });
    await eventually(() => expect(cluster.output()).toContain("Ctrl-C ends it"), { withinMs: WITHIN_MS });
    expect(cluster.output()).toContain("REDIS_URL is memory:, so one node runs in memory");
    const list = await fetch(`http://127.0.0.1:${port}/local/nodes`, { headers: { "x-roomcast-local": "1" } });
    expect(await list.json()).toEqual({ nodes: ["node-1"] });
  });

  it("says in one sentence that its port is busy", async () => {
    const server = createServer();
    const port = await freePort();
    await new Promise<void>((resolve) => {
      server.listen(port, "127.0.0.1", resolve);
    });
    onTestFinished(() => void server.close());
    const refused = runScript(LOCAL_MAIN, [], { PORT: String(port) });
    expect(await refused.exit).toBe(1);
    expect(refused.output()).toMatch(new RegExp(`^Port ${port} is in use: [^\n]*\n$`));
  });
});
