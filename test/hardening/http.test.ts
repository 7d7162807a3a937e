import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { CALLS, type CallRow } from "../../src/calls.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { API_KEY } from "../support/token.ts";
import { connectWitness, type Witness } from "../support/witness.ts";

const ROOM = "chat:http";

describe("whoever calls the application's interface, and is not the application", () => {
  let cluster: TestCluster;
  let ada: Witness;
  beforeAll(async () => {
    cluster = await startCluster({
      nodes: 1,
      env: { REDIS_URL: "memory:", RATE_LIMITS: "off", NODE_ENV: "production" },
    });
    ada = await connectWitness(cluster.urls[0] ?? "", { claims: { sub: "ada" } });
    await ada.ok("joinRoom", { room: ROOM });
    return async () => {
      ada.socket.disconnect();
      await cluster.stop();
    };
  });
  const url = () => cluster.urls[0] ?? "";

  /** Sends bytes as they are; resolves with the statuses of all answers once the server has closed, and all text. */
  function raw(...lines: string[]): Promise<{ statuses: number[]; text: string }> {
    return new Promise((resolve, reject) => {
      let text = "";
      const socket = connect(Number(new URL(url()).port), "127.0.0.1", () => socket.write(lines.join("\r\n")));
      socket.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      socket.on("error", reject);
      socket.on("close", () => {
        const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status));
        resolve({ statuses, text });
      });
    });
  }
  const call = (method: string, target: string, ...more: string[]) =>
    raw(
      `${method} ${target} HTTP/1.1`,
      "Host: x",
      "Connection: close",
      `Authorization: Bearer ${API_KEY}`,
      ...more,
      "",
      "",
    );

  const WRONG_KEYS: Record<string, Record<string, string>> = {
    "no key": {},
    "an empty key": { authorization: "Bearer " },
    "a wrong key": { authorization: "Bearer wrong" },
    "a key that is too long by one": { authorization: `Bearer ${API_KEY}x` },
    "a key that is too short by one": { authorization: `Bearer ${API_KEY.slice(0, -1)}` },
    "the key in capitals": { authorization: `Bearer ${API_KEY.toUpperCase()}` },
    "the key twice": { authorization: `Bearer ${API_KEY}, Bearer ${API_KEY}` },
    "the key by another scheme": { authorization: `Basic ${Buffer.from(`:${API_KEY}`).toString("base64")}` },
    "the key bare": { authorization: API_KEY },
    "the key in other headers": {
      "x-api-key": API_KEY,
      cookie: `authorization=${API_KEY}`,
      "proxy-authorization": `Bearer ${API_KEY}`,
    },
    "a megabyte of key, nearly": { authorization: `Bearer ${"x".repeat(10_000)}` },
  };
  for (const [what, headers] of Object.entries(WRONG_KEYS)) {
    it(`[G7] with ${what}: 401 by every call, before anything of it is read, and nothing happens`, async () => {
      for (const row of Object.values(CALLS) as CallRow[]) {
        const path = row.path.replace("{room}", encodeURIComponent(ROOM)).replace("{user}", "ada");
        // A body that is no JSON would be refused by whoever reads it.
        const body = row.body === undefined ? undefined : "{";
        const answer = await fetch(`${url()}/v1${path}?access_token=${API_KEY}`, {
          method: row.method.toUpperCase(),
          headers,
          ...(body !== undefined && { body }),
        });
        expect(answer.status, path).toBe(401);
        expect(answer.headers.get("www-authenticate")).toContain("Bearer");
        expect(await answer.json()).toMatchObject({ code: "unauthorized" });
      }
      await ada.ok("setState", { room: ROOM, state: {} });
      expect(ada.of("removed")).toEqual([]);
    });
  }

  it("[G7] a user's token is no key, and a key is no token", async () => {
    const token = (ada.socket.auth as { token: string }).token;
    const answer = await fetch(`${url()}/v1/rooms/${ROOM}/members`, { headers: { authorization: `Bearer ${token}` } });
    expect(answer.status).toBe(401);
    await expect(connectWitness(url(), { token: API_KEY })).rejects.toMatchObject({ data: { code: "unauthorized" } });
  });

  it("[G7] room names smuggled by slashes, dots, NUL and encodings: one segment is one name, or 400, or 404", async () => {
    const send = async (segment: string) => (await call("GET", `/v1/rooms/${segment}/messages`)).statuses[0];
    for (const segment of [
      "%00",
      "chat:1%00",
      "chat%3A1%0d%0aX: y",
      "%ff",
      "%c0%af",
      "%ed%a0%80",
      "%",
      "%zz",
      "%7Bchat:1%7D",
      "chat:*",
      "_control",
      "%5fcontrol",
      "x".repeat(201),
      "a%20b",
      "%E2%80%A8",
    ]) {
      expect(await send(segment), segment).toBe(400);
    }
    for (const target of [
      "/v1/rooms/../rooms",
      "/v1/rooms//messages",
      "/v1//rooms/x",
      "/v1/rooms/a/b/messages",
      "/v1/../metrics",
      "/v1/%2e%2e/metrics",
      "/v1%2frooms%2fx%2fmessages",
      "/v1/rooms/x/messages/..",
      "/metrics",
      "http://evil.example/metrics",
    ]) {
      expect((await call("GET", target)).statuses[0], target).toBe(404);
    }
    // An encoded slash or dot is part of the name, and stays so: it reaches no other room and no other call.
    for (const [segment, room] of [
      ["chat%2F..%2Fhttp", "chat/../http"],
      ["%2e%2e", ".."],
      ["..", ".."],
      ["chat:http%23", "chat:http#"],
      ["chat%253Ahttp", "chat%3Ahttp"],
    ] as const) {
      const body = JSON.stringify({ data: segment });
      const { statuses, text } = await raw(
        `POST /v1/rooms/${segment}/messages HTTP/1.1`,
        "Host: x",
        "Connection: close",
        `Authorization: Bearer ${API_KEY}`,
        `Content-Length: ${body.length}`,
        "",
        body,
      );
      expect(statuses, text).toEqual([201]);
      const { messages } = await ada.ok("getHistory", { room });
      expect(messages.at(-1)?.data, room).toBe(segment);
    }
    expect(ada.of("message", ROOM)).toEqual([]);
  });

  it("[G7] a request smuggled in another's body: never answered as one of its own", async () => {
    const inner = `GET /v1/rooms/${ROOM}/members HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${API_KEY}\r\n\r\n`;
    const post = [`POST /v1/messages HTTP/1.1`, "Host: x"];
    for (const lines of [
      [...post, "Content-Length: 5", "Transfer-Encoding: chunked", "", `0\r\n\r\n${inner}`],
      [...post, "Content-Length: 0", `Content-Length: ${inner.length}`, "", inner],
      [...post, "Transfer-Encoding: xchunked", "", `0\r\n\r\n${inner}`],
      [...post, "Transfer-Encoding : chunked", "", `0\r\n\r\n${inner}`],
      [...post, "Content-Length: +5", "", inner],
      [...post, "Transfer-Encoding: chunked", "", `5;\n\n\r\n${inner}`],
      [...post, "X: y\nContent-Length: 5", "", inner],
    ]) {
      const { statuses, text } = await raw(...lines);
      expect(
        statuses.filter((status) => status < 400),
        text,
      ).toEqual([]);
      expect(text).not.toContain('"members"');
    }
  });

  it("[G9] methods and verbs that there are not, and answers to a question of none: refused", async () => {
    for (const method of ["TRACE", "PATCH", "PUT", "CONNECT", "PROPFIND"]) {
      const { statuses, text } = await call(
        method,
        method === "CONNECT" ? "x:1" : `/v1/rooms/${ROOM}/messages`,
        "Content-Length: 0",
      );
      expect(
        statuses.filter((status) => status < 400),
        method,
      ).toEqual([]);
      expect(text).not.toContain(API_KEY);
    }
    expect((await raw("GET / HTTP/1.1", "", "")).statuses).toEqual([400]);
    expect((await raw("\u0016\u0003\u0001", "", "")).statuses).toEqual([400]);
    await ada.ok("setState", { room: ROOM, state: {} });
  });
});

describe("whoever looks for the admin port from outside", () => {
  const read = (file: string) => readFileSync(join(import.meta.dirname, "../..", file), "utf8");

  it("[G7] finds it published by neither docker-compose.yml nor the balancer", () => {
    const { services } = parse(read("docker-compose.yml"), { merge: true }) as {
      services: Record<string, { ports?: string[] }>;
    };
    expect(services.node?.ports).toBeUndefined();
    expect(services.redis?.ports).toBeUndefined();
    for (const { ports = [] } of Object.values(services)) for (const port of ports) expect(port).not.toContain("9464");
    // The balancer asks it whether a node is ready, and passes nobody on to it.
    const lines = read("deploy/haproxy/haproxy.cfg")
      .split("\n")
      .filter((line) => line.includes("9464"));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("default-server check port 9464");
  });

  it("[G7] finds nothing on it but by an API key that would change something", async () => {
    const cluster = await startCluster({ nodes: 1, env: { REDIS_URL: "memory:" } });
    const drain = (headers: Record<string, string>) =>
      fetch(`${cluster.adminUrls[0]}/drain`, { method: "POST", headers });
    for (const headers of [
      {},
      { authorization: "Bearer wrong" },
      { authorization: API_KEY },
      { "x-api-key": API_KEY },
    ]) {
      expect((await drain(headers as Record<string, string>)).status).toBe(401);
    }
    for (const path of ["/socket.io/?EIO=4&transport=polling", "/v1/rooms/x/members", "/dev/token"]) {
      expect((await fetch(`${cluster.adminUrls[0]}${path}`)).status, path).toBe(404);
    }
    expect((await fetch(`${cluster.adminUrls[0]}/readyz`)).status).toBe(200);
  });
});
