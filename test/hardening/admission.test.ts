import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import type { WireError } from "../../src/errors.ts";
import { connectClient, stockClient, TRANSPORTS } from "../support/client.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { metric } from "../support/metric.ts";
import { openRaw } from "../support/raw-client.ts";
import { polling, upgradeAnswer } from "../support/raw-engine.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { signToken } from "../support/token.ts";
import { connectWitness } from "../support/witness.ts";

type Env = Record<string, string>;

async function memoryNode(env: Env = {}): Promise<{ url: string; cluster: TestCluster }> {
  const cluster = await startCluster({ nodes: 1, env: { REDIS_URL: "memory:", ...env } });
  return { url: cluster.urls[0] ?? "", cluster };
}

/** What a stock client is told, or that it got in. */
async function outcome(url: string, token: string, options: object = {}): Promise<WireError | "in" | "no session"> {
  try {
    await connectClient(url, token, { reconnection: false, ...options });
    return "in";
  } catch (error) {
    const refusal = error as Error & { data?: WireError };
    return refusal.data ?? "no session";
  }
}

/** Writes bytes on a TCP connection and then nothing; resolves with what came once the server has closed it. */
function dribble(port: number, ...texts: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = "";
    const socket = connect(port, "127.0.0.1", () => {
      for (const text of texts) socket.write(text);
    });
    socket.on("data", (data) => {
      heard += data.toString();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(heard));
  });
}

const portOf = (url: string) => Number(new URL(url).port);

describe("whoever opens connections without end", () => {
  it("[G9] 1,000 at once of one user: as many as allowed get in, the others hear too_many_connections", async () => {
    const { url, cluster } = await memoryNode({ MAX_CONNECTIONS_PER_USER: "20" });
    const token = await signToken({ sub: "eve" });
    const sockets = Array.from({ length: 1_000 }, () =>
      stockClient(url, token, { transports: ["websocket"], reconnection: false }),
    );
    const outcomes = await Promise.all(
      sockets.map(
        (socket) =>
          new Promise<string>((resolve) => {
            socket.once("welcome", () => resolve("in"));
            socket.once("connect_error", (error: Error & { data?: WireError }) =>
              resolve(error.data?.code ?? error.message),
            );
            socket.connect();
          }),
      ),
    );
    expect(outcomes.filter((what) => what === "in")).toHaveLength(20);
    expect(outcomes.filter((what) => what === "too_many_connections")).toHaveLength(980);
    // Nobody else is kept out, and a place that was left is free again.
    await connectWitness(url, { claims: { sub: "ada" } });
    sockets[outcomes.indexOf("in")]?.disconnect();
    await eventually(async () => expect(await outcome(url, token, { transports: ["websocket"] })).toBe("in"));
    expect(cluster.node(0).isAlive()).toBe(true);
  });

  it("[G9] more than a node may have: too_many_connections, until one is gone", async () => {
    const { url } = await memoryNode({ MAX_CONNECTIONS: "2" });
    const first = await connectWitness(url);
    await connectWitness(url);
    for (const transports of Object.values(TRANSPORTS)) {
      expect(await outcome(url, await signToken(), { transports })).toMatchObject({
        code: "too_many_connections",
        retryable: true,
      });
    }
    first.socket.disconnect();
    await eventually(async () => expect(await outcome(url, await signToken())).toBe("in"));
  });

  it("[G9] many handshakes over one transport at the same time: it is closed, and takes no second place", async () => {
    const { url, cluster } = await memoryNode({ MAX_CONNECTIONS_PER_USER: "1" });
    const token = await signToken({ sub: "eve" });
    const raw = await openRaw(url);
    for (let time = 0; time < 50; time++) raw.send(`40${JSON.stringify({ token })}`);
    await eventually(() => expect(raw.closed).toBe(true));
    const metrics = async () => await (await fetch(`${cluster.adminUrls[0]}/metrics`)).text();
    await eventually(async () => expect(await metrics()).toMatch(/^roomcast_connections 0$/m));
    expect(await outcome(url, token)).toBe("in");
  });

  it("[G9] guessing tokens over one transport: it is closed after ten", async () => {
    const { url } = await memoryNode();
    const raw = await openRaw(url);
    const refused = () => raw.heard.filter((frame) => frame.startsWith("44")).length;
    for (let time = 0; time < 11; time++) {
      raw.send('40{"token":"made.up.token"}');
      if (time < 10) await eventually(() => expect(refused()).toBe(time + 1));
    }
    await eventually(() => expect(raw.closed).toBe(true));
  });

  it("[G9] more than one address may have, by the header of a trusted proxy only", async () => {
    const { url } = await memoryNode({ TRUSTED_PROXIES: "loopback", MAX_CONNECTIONS_PER_ADDRESS: "3" });
    const from = (address: string) => ({ extraHeaders: { "X-Forwarded-For": address } });
    for (let n = 0; n < 3; n++) expect(await outcome(url, await signToken(), from("6.6.6.6"))).toBe("in");
    for (const transports of Object.values(TRANSPORTS)) {
      const refusal = await outcome(url, await signToken(), { ...from("1.2.3.4, 6.6.6.6"), transports });
      expect(refusal).toMatchObject({ code: "too_many_connections", retryAfterMs: expect.any(Number) });
    }
    expect(await outcome(url, await signToken(), from("7.7.7.7"))).toBe("in");

    // Without a proxy the header is anybody's word.
    const { url: open } = await memoryNode({ TRUSTED_PROXIES: "none", MAX_CONNECTIONS_PER_ADDRESS: "3" });
    for (let n = 0; n < 3; n++) expect(await outcome(open, await signToken(), from(`9.9.9.${n}`))).toBe("in");
    expect(await outcome(open, await signToken(), from("9.9.9.9"))).toMatchObject({ code: "too_many_connections" });
  });

  it("[G9] sessions of one address that never authenticate: refused at the door past its handshakes", async () => {
    const { url } = await memoryNode({ TRUSTED_PROXIES: "none", MAX_CONNECTIONS_PER_ADDRESS: "1" });
    const answers = await Promise.all(
      Array.from({ length: 150 }, () => fetch(`${url}/socket.io/?EIO=4&transport=polling`)),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(101);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(49);
  });

  it("[G9] sessions that never authenticate: as many as a node waits for, and it is open again after them", async () => {
    const { url } = await memoryNode({ MAX_HANDSHAKES: "5", HANDSHAKE_TIMEOUT_MS: "1000" });
    await Promise.all(Array.from({ length: 5 }, () => openRaw(url)));
    expect((await fetch(`${url}/socket.io/?EIO=4&transport=polling`)).status).toBe(429);
    await eventually(async () => expect(await outcome(url, await signToken())).toBe("in"));
  });

  it("[G9] a session that is named twice is the one that Engine.IO goes by: the door counts it", async () => {
    const { url } = await memoryNode({ MAX_HANDSHAKES: "5" });
    await Promise.all(Array.from({ length: 5 }, () => openRaw(url)));
    const query = "EIO=4&transport=polling&sid=x&sid=";
    expect((await fetch(`${url}/socket.io/?${query}`)).status).toBe(429);
    expect(await upgradeAnswer(url, query.replace("polling", "websocket"))).toMatch(/^HTTP\/1.1 429 /);
  });

  it("JSONP, which hides its packets from the bound on them, is answered as plain polling", async () => {
    const { url } = await memoryNode();
    expect((await polling.get(`${url}`, undefined, "&j=0")).packets[0]).toMatch(/^0\{"sid"/);
  });

  it("[G9] upgrades that are refused leave no TCP connection behind, whatever their clients do with theirs", async () => {
    const { url, cluster } = await memoryNode({ RATE_CONNECTIONS_BURST: "1", RATE_CONNECTIONS_PER_SECOND: "1" });
    const descriptors = () => metric(cluster, "process_open_fds");
    const before = await descriptors();
    for (const path of ["/socket.io/?EIO=4&transport=websocket", "/elsewhere"]) {
      for (let n = 0; n < 20; n++) {
        const tcp = connect({ port: portOf(url), host: "127.0.0.1", allowHalfOpen: true });
        stopsWithTest(() => void tcp.destroy());
        tcp.on("error", () => undefined);
        await once(tcp, "connect");
        // One byte that nobody reads, and no end of its own.
        tcp.write(`GET ${path} HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`);
        tcp.write("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\nx");
      }
    }
    await eventually(async () => expect(await descriptors()).toBeLessThan(before + 5));
  });

  it("[G9] a storm of reconnects: let in as fast as the node may, and every stock client gets in by itself", async () => {
    const { url } = await memoryNode({ RATE_CONNECTIONS_PER_SECOND: "40", RATE_CONNECTIONS_BURST: "10" });
    const tokens = await Promise.all(Array.from({ length: 60 }, () => signToken()));
    let refusals = 0;
    const started = performance.now();
    await Promise.all(
      tokens.map(
        (token, n) =>
          new Promise<void>((resolve) => {
            const transports = Object.values(TRANSPORTS)[n % 3] ?? ["websocket"];
            const socket = stockClient(url, token, {
              transports: [...transports],
              reconnectionDelay: 100,
              reconnectionDelayMax: 500,
            });
            socket.on("connect_error", () => {
              refusals += 1;
            });
            socket.once("welcome", () => resolve());
            socket.connect();
          }),
      ),
    );
    expect(refusals).toBeGreaterThan(0);
    // Ten at once, and then forty a second: no way to be faster.
    expect(performance.now() - started).toBeGreaterThan(((60 - 10) / 40) * 1_000);
  });

  it("[G9] the answer at the door says when to come again, and not to everybody the same", async () => {
    const { url } = await memoryNode({ RATE_CONNECTIONS_PER_SECOND: "1", RATE_CONNECTIONS_BURST: "1" });
    const ask = () => fetch(`${url}/socket.io/?EIO=4&transport=polling`);
    expect((await ask()).status).toBe(200);
    const moments = new Set<number>();
    for (let n = 0; n < 5; n++) {
      const answer = await ask();
      expect(answer.status).toBe(429);
      const error = (await answer.json()) as WireError;
      expect(error).toMatchObject({ code: "too_many_connections", retryable: true });
      expect(Number(answer.headers.get("retry-after"))).toBe(Math.ceil((error.retryAfterMs ?? 0) / 1_000));
      moments.add(error.retryAfterMs ?? 0);
    }
    expect(moments.size).toBeGreaterThan(1);
    // The same for a websocket, as an HTTP answer in place of the upgrade.
    const upgrade = await dribble(
      portOf(url),
      "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    expect(upgrade).toMatch(/^HTTP\/1.1 429 /);
    expect(upgrade).toMatch(/"retryAfterMs":\d+/);
  });
});

describe("whoever takes all the time in the world", () => {
  it("[G9] a handshake that never ends: the session is closed", async () => {
    const { url } = await memoryNode({ HANDSHAKE_TIMEOUT_MS: "500" });
    const silent = await openRaw(url);
    const other = await openRaw(url);
    other.send("40/nowhere,");
    for (const raw of [silent, other]) await eventually(() => expect(raw.closed).toBe(true));
  });

  it("[G9] slow HTTP: no request, half a header, half a body, or one byte at a time", async () => {
    const { url, cluster } = await memoryNode({ HANDSHAKE_TIMEOUT_MS: "500" });
    for (const port of [portOf(url), portOf(cluster.adminUrls[0] ?? "")]) {
      const slow = await Promise.all([
        dribble(port),
        dribble(port, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "),
        dribble(port, "POST /dev/token HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"),
      ]);
      expect(slow[1]).toMatch(/^HTTP\/1.1 408 /);
      expect(slow[2]).toMatch(/^HTTP\/1.1 4\d\d /);
    }
    const { sid } = JSON.parse((await (await fetch(`${url}/socket.io/?EIO=4&transport=polling`)).text()).slice(1));
    const target = `/socket.io/?EIO=4&transport=polling&sid=${sid}`;
    const body = `POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n40`;
    await dribble(portOf(url), body);
    await connectWitness(url);
  });

  it("[G9] headers, paths and bodies of any size: refused, and the node lives", async () => {
    const { url } = await memoryNode({ NODE_ENV: "development" });
    expect((await fetch(url, { headers: { "X-Large": "x".repeat(20_000) } })).status).toBe(431);
    expect((await fetch(`${url}/${"x".repeat(20_000)}`)).status).toBe(431);
    const token = await fetch(`${url}/dev/token`, {
      method: "POST",
      body: JSON.stringify({ sub: "x".repeat(20_000) }),
    });
    expect(token.status).toBe(413);
    expect(await token.json()).toMatchObject({ code: "payload_too_large" });
    const { sid } = JSON.parse((await (await fetch(`${url}/socket.io/?EIO=4&transport=polling`)).text()).slice(1));
    const polling = `${url}/socket.io/?EIO=4&transport=polling&sid=${sid}`;
    expect((await fetch(polling, { method: "POST", body: "x".repeat(1_000_001) })).status).toBe(413);
    await connectWitness(url);
  });
});

describe("a page of another origin", () => {
  it("[G7] opens no connection by websocket or polling, unless CORS_ORIGINS names it", async () => {
    const { url } = await memoryNode({ CORS_ORIGINS: "https://app.example" });
    const page = (origin: string) => ({ extraHeaders: { Origin: origin } });
    const token = await signToken();
    for (const transports of Object.values(TRANSPORTS)) {
      for (const origin of ["https://evil.example", "null", "https://app.example.evil.example"]) {
        expect(await outcome(url, token, { ...page(origin), transports }), origin).toEqual({
          code: "forbidden",
          message: `pages of ${origin} may not connect: CORS_ORIGINS does not name them`,
          retryable: false,
        });
      }
      // Named, the node's own page, and no browser at all.
      for (const origin of [page("https://app.example"), page(url), {}]) {
        expect(await outcome(url, token, { ...origin, transports })).toBe("in");
      }
    }
  });

  it("[G7] is told by no header that it may read an answer", async () => {
    const { url } = await memoryNode({ CORS_ORIGINS: "https://app.example" });
    const allowed = async (origin: string) => {
      const answer = await fetch(`${url}/socket.io/?EIO=4&transport=polling`, { headers: { origin } });
      return answer.headers.get("access-control-allow-origin");
    };
    expect(await allowed("https://app.example")).toBe("https://app.example");
    expect(await allowed("https://evil.example")).toBeNull();
  });
});

describe("what a node tells whoever asks", () => {
  it("[G7] no version, no framework, on either port", async () => {
    const { url, cluster } = await memoryNode();
    for (const target of [`${url}/`, `${url}/nowhere`, `${url}/socket.io/?EIO=4&transport=polling`]) {
      const { headers } = await fetch(target);
      for (const name of ["server", "x-powered-by", "via"]) expect(headers.get(name), target).toBeNull();
    }
    for (const path of ["/livez", "/metrics", "/nowhere"]) {
      const { headers } = await fetch(`${cluster.adminUrls[0]}${path}`);
      for (const name of ["server", "x-powered-by", "via"]) expect(headers.get(name), path).toBeNull();
    }
  });

  it("[G7] metrics, probes and the drain are on the admin port only", async () => {
    const { url } = await memoryNode();
    for (const path of [
      "/metrics",
      "/livez",
      "/readyz",
      "/drain",
      "/%6detrics",
      "//metrics",
      "/socket.io/../metrics",
    ]) {
      const answer = await rawGet(url, path);
      expect(answer.status, path).toBeGreaterThanOrEqual(400);
      expect(answer.body, path).not.toContain("roomcast_connections");
    }
  });
});

/** A request whose path is sent as it is. */
function rawGet(url: string, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: "127.0.0.1", port: portOf(url), path }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        body += text;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    sent.on("error", reject);
    sent.end();
  });
}
