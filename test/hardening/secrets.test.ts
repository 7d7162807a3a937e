import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/config.ts";
import { NODE_SCRIPT } from "../../src/local/node-process.ts";
import { createNode } from "../../src/node.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { connectClient, stockClient, TRANSPORTS } from "../support/client.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/private-redis.ts";
import { rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { signToken } from "../support/token.ts";
import { connectWitness } from "../support/witness.ts";

/** A secret that nothing else can be taken for. */
const canary = (what: string) => `${what}-${randomBytes(20).toString("hex")}`;

/** Everything that somebody was told, and what must be in none of it. */
class Eavesdropper {
  readonly #heard: string[] = [];
  readonly #secrets = new Set<string>();

  secret(text: string): string {
    this.#secrets.add(text);
    this.#secrets.add(Buffer.from(text).toString("base64"));
    return text;
  }

  /** A token opens doors by its signature; its claims are looked for too. */
  token(text: string): string {
    for (const part of text.split(".").slice(1)) if (part.length > 20) this.#secrets.add(part);
    return text;
  }

  hear(...what: unknown[]): void {
    for (const one of what) this.#heard.push(typeof one === "string" ? one : JSON.stringify(one));
  }

  /** The secrets that were told, each with where. */
  get told(): string[] {
    const all = [...this.#secrets];
    return this.#heard.flatMap((text) =>
      all.filter((secret) => text.includes(secret)).map((secret) => `${secret} in ${text}`),
    );
  }

  get count(): number {
    return this.#heard.length;
  }
}

/** An application's server that fails, and says all that it was told. */
async function startBabbler(): Promise<string> {
  const server = createServer((request, response) => {
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(request.headers));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stopsWithTest(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/may`;
}

/** Tries tokens where clients put them, right and wrong ones, and hears what comes of it. */
async function tryTokens(ear: Eavesdropper, cluster: TestCluster, jwtSecret: string): Promise<void> {
  const url = cluster.urls[0] ?? "";
  const signed = async (secret: string, ttl?: number) =>
    ear.token(await signToken({ sub: "ada", secret, ...(ttl !== undefined && { ttl }) }));
  const tokens = [
    await signed(jwtSecret),
    await signed(jwtSecret, -60),
    await signed(canary("another-secret")),
    ear.token(`${canary("head")}.${canary("claims")}.${canary("signature")}`),
    ear.secret(canary("no-token")),
  ];
  for (const token of tokens) {
    for (const transports of Object.values(TRANSPORTS)) {
      const places: Parameters<typeof stockClient>[2][] = [
        { auth: { token } },
        { auth: {}, extraHeaders: { Authorization: `Bearer ${token}` } },
        { auth: {}, extraHeaders: { Cookie: `token=${token}` }, query: { token } },
      ];
      for (const place of places) {
        const socket = stockClient(url, "", { ...place, transports: [...transports], reconnection: false });
        socket.onAny((...event: unknown[]) => ear.hear(event));
        await new Promise<void>((resolve) => {
          socket.once("welcome", () => resolve());
          socket.once("connect_error", (error: Error & { data?: unknown }) => {
            ear.hear(error.message, error.data);
            resolve();
          });
          socket.connect();
        });
        socket.disconnect();
      }
    }
  }
  const ada = await connectWitness(url, { token: tokens[0] ?? "" });
  for (const token of tokens) ear.hear(await ada.ask("renewToken", { token }));
  ear.hear(await ada.ask("renewToken", { token: tokens }));
}

/** Calls with right and wrong keys, broken bodies, and tokens in the query. */
async function tryCalls(ear: Eavesdropper, cluster: TestCluster, keys: readonly string[]): Promise<void> {
  const [url = "", admin = ""] = [cluster.urls[0], cluster.adminUrls[0]];
  for (const key of [...keys, ear.secret(canary("wrong-key"))]) {
    const headers = { authorization: `Bearer ${key}`, "x-api-key": key, cookie: key };
    for (const [method, target, body] of [
      ["GET", `${url}/v1/rooms/chat:1?key=${key}`],
      ["GET", `${url}/v1/nowhere?token=${key}`],
      ["POST", `${url}/v1/rooms/chat:1/messages`, `{"data": "${key}`],
      ["POST", `${url}/v1/rooms/chat:1/messages`, JSON.stringify({ data: 1, id: 7, event: [key] })],
      ["POST", `${url}/v1/rooms/chat:broken/messages`, JSON.stringify({ data: key })],
      ["GET", `${url}/socket.io/?EIO=4&transport=polling&sid=${key}`],
      ["GET", `${url}/nowhere?token=${key}`],
      ["GET", `${admin}/nowhere?token=${key}`],
      ["GET", `${admin}/metrics?token=${key}`],
      ["GET", `${admin}/readyz`],
    ] as const) {
      const answer = await fetch(target, { method, headers, ...(body !== undefined && { body }) });
      ear.hear(await answer.text(), Object.fromEntries(answer.headers));
    }
  }
  const drain = await fetch(`${admin}/drain`, { method: "POST", headers: { authorization: "Bearer wrong" } });
  ear.hear(await drain.text());
}

describeWithRedis("whoever reads the log, or makes things fail to see what the errors say", () => {
  it("[G7] learns no password, secret, key, token or message, whatever fails", async () => {
    const ear = new Eavesdropper();
    const server = await startRedis();
    const admin = rawRedis(server.url);
    const password = ear.secret(canary("redis-password"));
    const jwtSecrets = [ear.secret(canary("jwt-first")), ear.secret(canary("jwt-second"))];
    const keys = [ear.secret(canary("key-first")), ear.secret(canary("key-second"))];
    await admin.call("ACL", ["SETUSER", "node", "on", `>${password}`, "+@all", "~*", "&*"]);
    const cluster = await startCluster({
      nodes: 1,
      env: {
        LOG_LEVEL: "trace",
        REDIS_URL: `redis://node:${password}@127.0.0.1:${server.port}`,
        JWT_SECRET: jwtSecrets.join(),
        API_KEYS: keys.join(),
        AUTHORIZE_URL: await startBabbler(),
        AUTHORIZE_SECRET: ear.secret(canary("authorize-secret")),
        RATE_LIMITS: "off",
      },
    });
    const [url = "", secret = ""] = [cluster.urls[0], jwtSecrets[1]];
    const broken = "chat:broken";
    await admin.set(`{${cluster.prefix}#/#${broken}#}:meta`, "not what it should be");

    await tryTokens(ear, cluster, secret);
    await tryCalls(ear, cluster, keys);
    const token = ear.token(await signToken({ secret, rooms: { "chat:*": ["*"] } }));
    const bob = await connectWitness(url, { token });
    await bob.ok("joinRoom", { room: "chat:1" });
    const message = ear.secret(canary("message"));
    const data = { room: broken, data: message, state: { message }, event: message };
    for (const name of ["joinRoom", "getHistory", "sendMessage"] as const) ear.hear(await bob.ask(name, data));
    ear.hear(await bob.ask("joinRoom", { room: "deal:1" }));
    await eventually(() => expect(cluster.logs(0).join("\n")).toContain("server does not decide"));
    expect(cluster.logs(0).join("\n")).toContain("WRONGTYPE");

    // What the node may, and then its password, are taken away while requests are under way.
    await admin.call("ACL", ["SETUSER", "node", "-@write", "-evalsha"]);
    ear.hear(await bob.ask("sendMessage", { room: "chat:1", data: message }));
    await admin.call("ACL", ["SETUSER", "node", "resetpass", ">changed"]);
    await admin.call("CLIENT", ["KILL", "TYPE", "normal", "SKIPME", "yes"]);
    await eventually(() => expect(cluster.logs(0).join("\n")).toContain("Redis is away"));
    ear.hear(await bob.ask("sendMessage", { room: "chat:1", data: message }));
    ear.hear(await (await fetch(`${cluster.adminUrls[0]}/readyz`)).text());
    bob.socket.disconnect();
    await cluster.stop();

    ear.hear(...cluster.logs(0));
    expect(ear.count).toBeGreaterThan(150);
    expect(ear.told).toEqual([]);
  });

  it("[G7] learns no password of a Redis that never let the node in", async () => {
    const ear = new Eavesdropper();
    const server = await startRedis();
    await rawRedis(server.url).call("ACL", ["SETUSER", "node", "on", ">right"]);
    const password = ear.secret(canary("redis-password"));
    const env = { LOG_LEVEL: "trace", REDIS_URL: `redis://node:${password}@127.0.0.1:${server.port}` };
    const cluster = await startCluster({ nodes: 1, env, untilReady: false });
    await eventually(() => expect(cluster.logs(0).join("\n")).toContain("WRONGPASS"));
    ear.hear(await (await fetch(`${cluster.adminUrls[0]}/readyz`)).text());
    await cluster.stop();
    ear.hear(...cluster.logs(0));
    expect(ear.told).toEqual([]);
  });
});

describe("whoever reads what a node says of a wrong configuration", () => {
  it("[G7] learns no secret: variables are named, and their text is not", () => {
    const ear = new Eavesdropper();
    const password = ear.secret(canary("pass"));
    const env = {
      REDIS_URL: `http://:${password}@127.0.0.1`,
      REDIS_KEY: ear.secret(canary("no-pem")),
      JWT_SECRET: `${ear.secret(canary("jwt"))}, `,
      AUTHORIZE_SECRET: ` ${ear.secret(canary("authorize"))}`,
      API_KEYS: `${ear.secret(canary("key"))},ü`,
      JWKS_URL: `https://user:${password}@keys.example/jwks`,
      AUTHORIZE_URL: `https://user:${password}@app.example/may`,
    };
    const { status, stdout, stderr } = spawnSync(process.execPath, [NODE_SCRIPT], { encoding: "utf8", env });
    expect(status).toBe(78);
    for (const name of Object.keys(env)) expect(stderr).toContain(name);
    ear.hear(stdout, stderr);
    expect(ear.told).toEqual([]);
  });
});

describe("whoever listens between the nodes, where the adapter publishes handshakes", () => {
  it("[G7] finds no token in them, however it was handed over", async () => {
    const secret = canary("jwt");
    const config = parseConfig({
      PORT: "0",
      ADMIN_PORT: "0",
      REDIS_URL: "memory:",
      JWT_SECRET: secret,
      DRAIN_SECONDS: "0",
    });
    const embedded = createNode({ config, log: createLogger("silent", "embedded") });
    const { port } = await embedded.start();
    stopsWithTest(() => embedded.stop());
    const ear = new Eavesdropper();
    for (const transports of Object.values(TRANSPORTS)) {
      const token = ear.token(await signToken({ secret }));
      const Authorization = `Bearer ${token}`;
      const inQuery = { extraHeaders: { Authorization }, query: { token } };
      for (const options of [{}, { auth: {}, extraHeaders: { Authorization } }, { auth: {}, ...inQuery }]) {
        await connectClient(`http://127.0.0.1:${port}`, token, { transports, ...options });
      }
    }
    const found = await embedded.io.fetchSockets();
    expect(found).toHaveLength(9);
    ear.hear(...found.map(({ handshake, data }) => ({ handshake, data })));
    expect(ear.told).toEqual([]);
  });
});
