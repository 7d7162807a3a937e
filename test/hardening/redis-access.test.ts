import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { freePort } from "../../src/local/ports.ts";
import { findRedisBinary } from "../../src/local/redis-binary.ts";
import { spawnRedis } from "../../src/local/redis-process.ts";
import { ended } from "../../src/local/tied-process.ts";
import { RedisLog } from "../../src/log/redis-log.ts";
import { NOWHERE } from "../../src/log/room-log.ts";
import { Keys } from "../../src/redis/keys.ts";
import { WEBHOOK_EVENTS } from "../../src/webhooks/events.ts";
import { draft, RETENTION } from "../contract/drafts.ts";
import { apiOf } from "../support/api.ts";
import { type Certificates, makeCertificates, noCertificates } from "../support/certificates.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/private-redis.ts";
import { rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { startReceiver, webhooksFile } from "../support/webhook-receiver.ts";
import { connectWitness } from "../support/witness.ts";

const OPERATIONS = join(import.meta.dirname, "../../docs/operations.md");
const ROOM = "chat:access";
const WITHOUT_OPENSSL = await noCertificates();

/** The words of the command in docs/operations.md, for this prefix and password. */
function documentedUser(prefix: string, password: string, name = "acl"): string[] {
  const pattern = new RegExp(`<!-- ${name}:start -->\\n\`\`\`\\n(.*?)\`\`\``, "s");
  const [, block = ""] = pattern.exec(readFileSync(OPERATIONS, "utf8")) ?? [];
  const words = block.trim().split(/\s+/);
  expect(words.slice(0, 3)).toEqual(["ACL", "SETUSER", "roomcast"]);
  return words.slice(3).map((word) => word.replace("PASSWORD", password).replace(/^([~&]\{?)roomcast/, `$1${prefix}`));
}

/** Everything that rooms are for, over two nodes, one of which dies and one of which stops. */
async function wholeLife(cluster: TestCluster): Promise<void> {
  const [ada, bob] = [
    await connectWitness(cluster.urls[0] ?? "", { claims: { sub: "ada" } }),
    await connectWitness(cluster.urls[1] ?? "", { claims: { sub: "bob" } }),
  ];
  for (const one of [ada, bob]) await one.ok("joinRoom", { room: ROOM, history: 10, state: { here: true } });
  const { seq } = await ada.ok("sendMessage", { room: ROOM, data: 1, id: "one" });
  expect(await ada.ok("sendMessage", { room: ROOM, data: 1, id: "one" })).toMatchObject({ seq, duplicate: true });
  await ada.ok("sendSignal", { room: ROOM, event: "typing" });
  await bob.ok("setState", { room: ROOM, state: { here: false } });
  for (const one of [ada, bob]) await eventually(() => expect(one.of("message", ROOM)).toHaveLength(1));
  await eventually(() => expect(bob.of("signal")).toHaveLength(1));
  await eventually(() => expect(ada.of("userUpdated")).toHaveLength(1));
  const { position, messages } = await ada.ok("getHistory", { room: ROOM, after: 0 });
  expect(messages).toHaveLength(1);
  await ada.ok("getHistory", { room: ROOM });
  expect((await bob.ok("getMembers", { room: ROOM })).memberCount).toBe(2);
  const api = apiOf(cluster.urls[1]);
  await eventually(async () => expect((await api("GET", "/rooms?type=chat")).body.rooms).toHaveLength(1));
  expect((await api("GET", `/rooms/${ROOM}`)).body).toMatchObject({ members: 2, connections: 2, complete: true });
  expect((await api("GET", "/nodes")).body).toMatchObject({ nodes: [{}, {}], complete: true });
  expect((await api("DELETE", `/rooms/${ROOM}/messages/${seq}`)).status).toBe(200);
  await eventually(() => expect(ada.of("messageRemoved", ROOM)).toHaveLength(1));
  expect((await ada.ok("getHistory", { room: ROOM })).messages).toMatchObject([{ removed: true }, { removes: seq }]);
  await bob.ok("leaveRoom", { room: ROOM });
  await eventually(() => expect(ada.of("userLeft")).toHaveLength(1));
  await bob.ok("sendMessage", { room: ROOM, data: 2 }).catch(() => undefined);
  expect((await bob.ok("joinRoom", { room: ROOM, since: position })).recovered).toBe(true);
  await cluster.kill(1);
  await eventually(() => expect(ada.of("userLeft")).toHaveLength(2), { withinMs: 20_000 });
}

/** A log whose messages are all past their age: compared, and empty then. */
async function outlive(url: string, prefix: string): Promise<void> {
  const [commands, reads] = [rawRedis(url), rawRedis(url)];
  const log = new RedisLog({ commands, reads, keys: new Keys(prefix), dedupeMs: 60_000 });
  const room = "chat:aged";
  await eventually(() => log.append(room, draft("1")));
  const retention = { ...RETENTION, maxAgeMs: 1 };
  await eventually(async () => {
    const [head] = await log.check([{ room, position: NOWHERE, retention }]);
    expect(head).toMatchObject({ seq: 1, messages: 0 });
  });
}

describeWithRedis("whoever reads the nodes' password for Redis", () => {
  it.concurrent("[G7] has what a node needs, and nothing else: no other keys, no other commands", async () => {
    const server = await startRedis();
    const admin = rawRedis(server.url);
    const [prefix, password] = [`t${randomUUID().slice(0, 8)}`, randomUUID()];
    await admin.call("ACL", ["SETUSER", "roomcast", ...documentedUser(prefix, password)]);
    const url = `redis://roomcast:${password}@127.0.0.1:${server.port}`;
    const cluster = await startCluster({
      nodes: 2,
      env: { REDIS_URL: url, REDIS_PREFIX: prefix, LEASE_SECONDS: "2", FEED_LINGER_MS: "100", GRACE_SECONDS: "1" },
    });
    // Nobody else may come in without a password.
    await admin.call("ACL", ["SETUSER", "watcher", "on", `>${password}`, "+@all", "~*", "&*"]);
    const watcher = rawRedis(`redis://watcher:${password}@127.0.0.1:${server.port}`);
    await watcher.ping();
    await admin.call("ACL", ["SETUSER", "default", "off"]);
    await wholeLife(cluster);
    await cluster.stop();
    await outlive(url, prefix);
    expect(await watcher.call("ACL", "LOG")).toEqual([]);

    const thief = rawRedis(url);
    for (const [command, ...args] of [
      ["KEYS", "*"],
      ["SCAN", "0"],
      ["FLUSHALL"],
      ["CONFIG", "GET", "*"],
      ["ACL", "LIST"],
      ["MONITOR"],
      ["EVAL", "return 1", "0"],
      ["GET", "other"],
      ["HGET", "{other#/#chat:1#}:meta", "seq"],
      ["SSUBSCRIBE", "other#/#chat:1#"],
      ["SPUBLISH", "other#/#chat:1#", "x"],
      ["PSUBSCRIBE", "*"],
      ["CLIENT", "LIST"],
      ["REPLICAOF", "127.0.0.1", "1"],
    ] as const) {
      await expect(thief.call(command, [...args]), command).rejects.toThrow("NOPERM");
    }
  });

  it.concurrent("[G7] has the further rights that webhooks need, as they are written down, and no others", async () => {
    const server = await startRedis();
    const admin = rawRedis(server.url);
    const [prefix, password] = [`t${randomUUID().slice(0, 8)}`, randomUUID()];
    for (const name of ["acl", "acl-webhooks"]) {
      await admin.call("ACL", ["SETUSER", "roomcast", ...documentedUser(prefix, password, name)]);
    }
    const receiver = await startReceiver();
    const endpoint = { url: receiver.url, secrets: [receiver.secret], events: WEBHOOK_EVENTS };
    const cluster = await startCluster({
      nodes: 2,
      env: {
        REDIS_URL: `redis://roomcast:${password}@127.0.0.1:${server.port}`,
        REDIS_PREFIX: prefix,
        LEASE_SECONDS: "2",
        GRACE_SECONDS: "1",
        WEBHOOKS: await webhooksFile({ one: { ...endpoint, retrySeconds: 1, maxDead: 1 } }),
      },
    });
    await wholeLife(cluster);
    await eventually(() => expect(receiver.of("connection.closed")).toHaveLength(1), { withinMs: 30_000 });
    const api = apiOf(cluster.urls[0]);
    receiver.answer = 500;
    for (let data = 1; data <= 2; data++) {
      await api("POST", `/rooms/${ROOM}/messages`, { body: { data } });
      await eventually(() => expect(receiver.deliveries.at(-1)?.events[0]?.data.message.data).toBe(data));
    }
    const { id } = await eventually(
      async () => {
        const { deliveries } = (await api("GET", "/webhooks/dead")).body;
        expect(deliveries[0]?.events[0].data.message.data).toBe(2);
        return deliveries[0];
      },
      { withinMs: 20_000 },
    );
    receiver.answer = 200;
    expect((await api("POST", `/webhooks/dead/${id}/replay`)).status).toBe(200);
    await eventually(() => expect(receiver.deliveries.at(-1)).toMatchObject({ id, taken: true }));
    await cluster.stop();
    expect(await admin.call("ACL", "LOG")).toEqual([]);
  });
});

/** A Redis that speaks TLS only to whom its authority vouches for. By a server program: a container has no such files. */
async function startTlsRedis({ ca, server }: Certificates): Promise<number> {
  const silent = () => undefined;
  const binary = await findRedisBinary(silent);
  if (binary === undefined) throw new Error("no redis-server for a test of TLS: install one, or be on Debian");
  const folder = await mkdtemp(join(tmpdir(), "roomcast-test-tls-"));
  const tlsPort = await freePort();
  const tls = ["--tls-port", String(tlsPort), "--tls-cert-file", server.cert, "--tls-key-file", server.key];
  const child = await spawnRedis(binary, await freePort(), folder, [
    "--save",
    "",
    ...tls,
    "--tls-ca-cert-file",
    ca,
    "--tls-auth-clients",
    "yes",
  ]);
  stopsWithTest(async () => {
    child.kill("SIGKILL");
    await ended(child);
    await rm(folder, { recursive: true, force: true });
  });
  return tlsPort;
}

const onlyWithOpenssl = WITHOUT_OPENSSL === undefined ? it : it.skip;
const why = WITHOUT_OPENSSL === undefined ? "" : ` (skipped: ${WITHOUT_OPENSSL})`;

describeWithRedis("whoever stands between a node and Redis", () => {
  onlyWithOpenssl(
    `[G7] nodes speak rediss:// by certificates, and not to a server that shows another one${why}`,
    async () => {
      const certificates = await makeCertificates();
      const port = await startTlsRedis(certificates);
      const env = {
        REDIS_URL: `rediss://127.0.0.1:${port}`,
        REDIS_CA_FILE: certificates.ca,
        REDIS_CERT_FILE: certificates.client.cert,
        REDIS_KEY_FILE: certificates.client.key,
        LEASE_SECONDS: "2",
        GRACE_SECONDS: "1",
      };
      await wholeLife(await startCluster({ nodes: 2, env }));

      const stranger = await makeCertificates();
      for (const wrong of [
        { REDIS_CA_FILE: stranger.ca },
        { REDIS_CERT_FILE: stranger.client.cert, REDIS_KEY_FILE: stranger.client.key },
      ]) {
        await expect(startWaiting({ ...env, ...wrong })).resolves.toContain("Redis is away");
      }
    },
  );
});

/** Starts a node that must not become ready; resolves with what it logged first. */
async function startWaiting(env: Record<string, string>): Promise<string> {
  const cluster = await startCluster({ nodes: 1, env, untilReady: false });
  return await eventually(async () => {
    const away = cluster.logs(0).find((line) => line.includes("Redis is away"));
    if (away === undefined) throw new Error("it says nothing");
    expect((await fetch(`${cluster.adminUrls[0]}/readyz`)).status).toBe(503);
    return away;
  });
}
