import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import express from "express";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { type TokenSettings, TokenVerifier } from "../../src/auth/tokens.ts";
import type { Config } from "../../src/config/config.ts";
import { RoomcastError } from "../../src/errors.ts";
import { notFound, problemHandler } from "../../src/http/problem.ts";
import { publicApp } from "../../src/http/public-app.ts";
import { createLogger } from "../../src/telemetry/log.ts";

const SECRET = Buffer.from("0123456789abcdef0123456789abcdef");
const TOKENS: TokenSettings = {
  keys: { kind: "secrets", secrets: [SECRET], generated: false },
  issuer: undefined,
  audience: undefined,
};

const files = mkdtempSync(join(tmpdir(), "roomcast-demo-"));
writeFileSync(join(files, "index.html"), "<!doctype html><title>Demo</title>");
afterAll(() => rmSync(files, { recursive: true }));

function logInto(lines: string[]) {
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  return createLogger("info", "test", stream);
}

async function listen(app: express.Express): Promise<{ origin: string; port: number }> {
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, port };
}

function start(demo: Config["demo"], tokens = TOKENS) {
  return listen(publicApp({ demo, tokens, files, api: undefined, log: logInto([]) }));
}

const LOOPBACK: Config["demo"] = { kind: "on", tokens: "loopback" };

interface Answer {
  status: number;
  body: string;
}

/** Unlike fetch, this may say any `Host`. */
function post(port: number, headers: Record<string, string>, body = "{}"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { port, host: "127.0.0.1", method: "POST", path: "/dev/token", headers };
    const request = httpRequest(options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

describe("POST /dev/token", () => {
  test("answers a token that the node accepts", async () => {
    const { origin } = await start(LOOPBACK);
    const body = JSON.stringify({ sub: "ada", name: "Ada", rooms: { "chat:*": ["join"] }, ttlSeconds: 60 });
    const response = await fetch(`${origin}/dev/token`, { method: "POST", body });
    expect(response.status).toBe(200);
    expect(response.headers.get("cache-control")).toBe("no-store");
    const { token, expiresAt } = (await response.json()) as { token: string; expiresAt: number };
    const identity = await new TokenVerifier(TOKENS).verify(token);
    expect(identity).toMatchObject({ user: "ada", name: "Ada", expiresAt });
    expect(identity.permissions.allows("chat:1", "send")).toBe(false);
  });

  test("needs no body, and reads it whatever its type is called", async () => {
    const { origin, port } = await start(LOOPBACK);
    expect((await fetch(`${origin}/dev/token`, { method: "POST" })).status).toBe(200);
    const form = { host: "localhost", "content-type": "application/x-www-form-urlencoded" };
    const { body } = await post(port, form, '{"sub":"ada"}');
    await expect(
      new TokenVerifier(TOKENS).verify((JSON.parse(body) as { token: string }).token),
    ).resolves.toMatchObject({
      user: "ada",
    });
  });

  test.each([
    ['{"sub":', "bad_request", 400, "the body is not JSON"],
    ['"text"', "bad_request", 400, "the body is not JSON"],
    ["[]", "bad_request", 400, "the request must be an object"],
    ['{"sub":"server"}', "bad_request", 400, "sub must not be"],
    ['{"rooms":{"*":["fly"]}}', "bad_request", 400, 'rooms["*"][0] must be one of'],
    [JSON.stringify({ sub: "x".repeat(17_000) }), "payload_too_large", 413, "the body is too large"],
  ])("refuses %.30s with a problem document", async (body, code, status, detail) => {
    const { origin } = await start(LOOPBACK);
    const response = await fetch(`${origin}/dev/token`, { method: "POST", body });
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toBe("application/problem+json; charset=utf-8");
    const problem = (await response.json()) as { detail: string };
    expect(problem).toMatchObject({ type: "about:blank", title: expect.any(String), status, code });
    expect(problem.detail).toContain(detail);
  });

  test.each<[string, Record<string, string>]>([
    ["for another host", { host: "rebound.example.com" }],
    ["through X-Forwarded-For", { host: "localhost", "x-forwarded-for": "127.0.0.1" }],
    ["through X-Forwarded-Proto", { host: "localhost", "X-Forwarded-Proto": "https" }],
    ["through Forwarded", { host: "localhost", forwarded: "for=127.0.0.1" }],
    ["through Via", { host: "localhost", via: "1.1 proxy" }],
  ])("[G7] answers no request %s, but in the open demo", async (_what, headers) => {
    const { port } = await start(LOOPBACK);
    const refused = await post(port, headers);
    expect(refused.status).toBe(403);
    expect(JSON.parse(refused.body)).toMatchObject({ code: "forbidden" });
    const open = await start({ kind: "on", tokens: "everybody" });
    expect((await post(open.port, headers)).status).toBe(200);
  });

  test("[G7] is not there without the demo, and not where there is no key to sign with", async () => {
    const off = await start({ kind: "off" });
    expect((await post(off.port, { host: "localhost" })).status).toBe(404);
    expect((await fetch(off.origin)).status).toBe(404);
    const jwks = await start(
      { kind: "on", tokens: "nobody" },
      { ...TOKENS, keys: { kind: "jwks", url: new URL("http://x") } },
    );
    expect((await post(jwks.port, { host: "localhost" })).status).toBe(404);
    expect((await fetch(jwks.origin)).status).toBe(200);
  });
});

describe("the demo's page", () => {
  test("comes with a policy that lets it load and reach this origin only", async () => {
    const { origin } = await start(LOOPBACK);
    const response = await fetch(origin);
    expect(await response.text()).toContain("<title>Demo</title>");
    const policy = response.headers.get("content-security-policy");
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("connect-src 'self'");
    expect(policy).not.toContain("unsafe-inline");
    expect(policy).not.toContain("upgrade-insecure-requests");
    expect(response.headers.get("x-powered-by")).toBeNull();
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  });

  test("is all there is of the disk", async () => {
    const { port } = await start(LOOPBACK);
    for (const path of ["/../package.json", "/..%2f..%2fpackage.json", "/%2e%2e/package.json", "/%00", "/%"]) {
      const status = await new Promise<number | undefined>((resolve, reject) => {
        httpRequest({ port, host: "127.0.0.1", path }, (response) => resolve(response.resume().statusCode))
          .on("error", reject)
          .end();
      });
      expect(status, path).toBeGreaterThanOrEqual(400);
      expect(status, path).toBeLessThan(500);
    }
  });
});

describe("errors", () => {
  async function startThrowing(error: unknown) {
    const lines: string[] = [];
    const app = express();
    app.get("/sync", () => {
      throw error;
    });
    app.get("/async", async () => {
      await Promise.resolve();
      throw error;
    });
    app.use(notFound);
    app.use(problemHandler(logInto(lines)));
    return { lines, ...(await listen(app)) };
  }

  test("of the table are answered with their status, and when to try again", async () => {
    const { origin, lines } = await startThrowing(new RoomcastError("rate_limited", "slowly", { retryAfterMs: 1500 }));
    const response = await fetch(`${origin}/async`);
    expect(response.status).toBe(429);
    expect(response.headers.get("retry-after")).toBe("2");
    expect(await response.json()).toEqual({
      type: "about:blank",
      title: "Too Many Requests",
      status: 429,
      detail: "slowly",
      code: "rate_limited",
      retryAfterMs: 1500,
    });
    expect(lines).toEqual([]);
  });

  test.each(["/sync", "/async"])("of ours are logged once with their cause, and not told: %s", async (path) => {
    const { origin, lines } = await startThrowing(new Error("the password is hunter2"));
    const response = await fetch(`${origin}${path}?token=secret`);
    expect(response.status).toBe(500);
    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({ code: "internal", status: 500 });
    expect(text).not.toContain("hunter2");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("hunter2");
    expect(lines[0]).not.toContain("secret");
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "error", method: "GET", path });
  });

  test("what is thrown without being an error is ours too", async () => {
    const { origin, lines } = await startThrowing("a text");
    expect((await fetch(`${origin}/sync`)).status).toBe(500);
    expect(lines).toHaveLength(1);
  });

  test("an unknown path is not_found", async () => {
    const { origin } = await startThrowing(new Error("never"));
    const response = await fetch(`${origin}/nothing`, { method: "DELETE" });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: "not_found", detail: "there is no DELETE /nothing" });
  });
});
