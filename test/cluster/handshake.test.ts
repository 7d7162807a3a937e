import { randomUUID } from "node:crypto";
import { type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import { beforeAll, expect, it } from "vitest";
import type { WireError } from "../../src/errors.ts";
import { stockClient, TRANSPORTS } from "../support/client.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { describeWithRedis } from "../support/redis.ts";
import { JWT_SECRET, signToken } from "../support/token.ts";
import { connectWitness } from "../support/witness.ts";

const nowSeconds = () => Math.floor(Date.now() / 1_000);
const claims = (): JWTPayload => ({ sub: "ada", exp: nowSeconds() + 60, rooms: { "*": ["*"] } });

async function signClaims(payload: JWTPayload, alg = "HS256"): Promise<string> {
  return await new SignJWT(payload).setProtectedHeader({ alg }).sign(new TextEncoder().encode(JWT_SECRET.repeat(2)));
}

interface Refusal {
  readonly title: string;
  readonly auth: () => Promise<object> | object;
  readonly code: WireError["code"];
  readonly says: RegExp;
}

const withToken = (token: () => Promise<unknown> | unknown) => async () => ({ token: await token() });
const withClaims = (payload: () => JWTPayload) => async () => ({
  token: await new SignJWT(payload()).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(JWT_SECRET)),
});
const unauthorized = (title: string, says: RegExp, auth: Refusal["auth"]): Refusal => ({
  title,
  auth,
  code: "unauthorized",
  says,
});

const REFUSALS: Refusal[] = [
  unauthorized("no auth at all", /auth: \{ token \}/, () => ({})),
  unauthorized("an empty token", /auth: \{ token \}/, () => ({ token: "" })),
  unauthorized("a token that is no text", /auth: \{ token \}/, () => ({ token: { a: 1 } })),
  unauthorized("a token that is none", /not a signed JWT/, () => ({ token: "made.up.token" })),
  unauthorized(
    "another secret",
    /sign/,
    withToken(() => signToken({ secret: randomUUID().repeat(2) })),
  ),
  unauthorized(
    "no signature",
    /sign/,
    withToken(() => new UnsecuredJWT(claims()).encode()),
  ),
  unauthorized(
    "another algorithm",
    /HS256/,
    withToken(() => signClaims(claims(), "HS512")),
  ),
  unauthorized("more than 64 KiB", /at most 65536 bytes/, () => ({ token: "x".repeat(70_000) })),
  unauthorized(
    "no exp",
    /^claim exp is required$/,
    withClaims(() => ({ ...claims(), exp: undefined })),
  ),
  unauthorized(
    "no sub",
    /^claim sub is required$/,
    withClaims(() => ({ ...claims(), sub: undefined })),
  ),
  unauthorized(
    "the user server",
    /^claim sub must not be "server"/,
    withToken(() => signToken({ sub: "server" })),
  ),
  unauthorized(
    "an empty sub",
    /^claim sub must be 1 to 128 bytes$/,
    withToken(() => signToken({ sub: "" })),
  ),
  unauthorized(
    "a long sub",
    /^claim sub must be/,
    withToken(() => signToken({ sub: "x".repeat(129) })),
  ),
  unauthorized(
    "a broken sub",
    /^claim sub must be well-formed/,
    withToken(() => signToken({ sub: "\ud800" })),
  ),
  unauthorized(
    "a name too long",
    /^claim name must/,
    withToken(() => signToken({ name: "x".repeat(257) })),
  ),
  unauthorized(
    "rooms that are none",
    /^claim rooms/,
    withClaims(() => ({ ...claims(), rooms: ["chat:*"] })),
  ),
  unauthorized(
    "a made-up permission",
    /^claim rooms/,
    withToken(() => signToken({ rooms: { "*": ["fly"] } })),
  ),
  { title: "an expired token", auth: withToken(() => signToken({ ttl: -5 })), code: "token_expired", says: /expired/ },
];

describeWithRedis("[G7] nobody gets in without a valid token", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 1 });
    return () => cluster.stop();
  });
  const url = () => cluster.urls[0] ?? "";

  for (const { title, auth, code, says } of REFUSALS) {
    it(`${title}: connect_error with the error object, and nothing else`, async () => {
      const given = await auth();
      for (const transports of Object.values(TRANSPORTS)) {
        const socket = stockClient(url(), "", { auth: given, transports: [...transports] });
        const events: string[] = [];
        socket.onAny((name: string) => events.push(name));
        const refusal = await new Promise<Error & { data?: WireError }>((resolve, reject) => {
          socket.once("connect_error", resolve);
          socket.once("connect", () => reject(new Error("connected")));
          socket.connect();
        });
        expect(refusal.data).toEqual({ code, message: refusal.message, retryable: false });
        expect(refusal.message).toMatch(says);
        expect(socket.connected).toBe(false);
        // Stock clients do not come back by themselves with the same token.
        expect(socket.active).toBe(false);
        expect(events).toEqual([]);
      }
    });
  }

  it("an invalid token in auth is not saved by a valid one in the header", async () => {
    const extraHeaders = { Authorization: `Bearer ${await signToken()}` };
    await expect(connectWitness(url(), { token: "made.up.token", extraHeaders })).rejects.toThrow("not a signed JWT");
  });

  it("a valid token gets in by auth and by the header, and welcome says who and how long", async () => {
    const token = await signToken({ sub: "ada", name: "Ada L." });
    const exp = (JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { exp: number }).exp;
    for (const options of [{ token }, { token: "", extraHeaders: { Authorization: `bearer ${token}` } }]) {
      for (const transports of Object.values(TRANSPORTS)) {
        const socket = stockClient(url(), options.token, { ...options, transports: [...transports] });
        const welcomes: unknown[] = [];
        socket.on("welcome", (welcome) => welcomes.push(welcome));
        await new Promise((resolve) => {
          socket.once("welcome", resolve);
          socket.connect();
        });
        expect(welcomes).toEqual([
          {
            connectionId: socket.id,
            user: { id: "ada", name: "Ada L." },
            node: "node-1",
            expiresAt: exp * 1_000,
            limits: {
              payload: 65_536,
              rooms: 100,
              rates: { join: 20, send: 20, signal: 50, read: 20, state: 5, moderate: 10, renew: 1 },
              dedupe: 600,
              grace: 10,
            },
          },
        ]);
        socket.disconnect();
      }
    }
  });
});
