import { createHmac, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  CompactSign,
  EncryptJWT,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
} from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import type { WireError } from "../../src/errors.ts";
import { stockClient } from "../support/client.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { connectRaw, openRaw } from "../support/raw-client.ts";
import { JWT_SECRET } from "../support/token.ts";
import { connectWitness } from "../support/witness.ts";

const DAY_SECONDS = 24 * 60 * 60;
/** Past this a timer of Node fires at once. */
const LONGEST_TIMER_DAYS = 24.8;
const SECRET = new TextEncoder().encode(JWT_SECRET);
const ISSUER = "https://auth.example";
const AUDIENCE = "rooms";

const now = () => Math.floor(Date.now() / 1_000);
const claims = (more: JWTPayload = {}): JWTPayload => ({
  sub: "eve",
  iss: ISSUER,
  aud: AUDIENCE,
  exp: now() + 3_600,
  rooms: { "*": ["*"] },
  ...more,
});
const sign = (payload: JWTPayload, key: Parameters<SignJWT["sign"]>[0] = SECRET, alg = "HS256", more: object = {}) =>
  new SignJWT(payload).setProtectedHeader({ alg, ...more }).sign(key);
const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A good token of somebody, with other claims put in place of its own. */
async function tampered(): Promise<string> {
  const [head = "", , signature = ""] = (await sign(claims({ sub: "ada" }))).split(".");
  return [head, base64(claims({ sub: "root" })), signature].join(".");
}

/** Signed by the text itself, under a head of the attacker's own. */
function forged(head: object, secret: string | Buffer): string {
  const signed = `${base64(head)}.${base64(claims())}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** Each attack on a node that verifies by a secret, and the word that the answer must have. */
const ATTACKS: Record<string, [make: () => Promise<string> | string, code: WireError["code"], says: RegExp]> = {
  "no token": [() => "", "unauthorized", /auth: \{ token \}/],
  "a token that has expired": [() => sign(claims({ exp: now() - 1 })), "token_expired", /expired/],
  "a token that expired long ago": [() => sign(claims({ exp: 1 })), "token_expired", /expired/],
  "a token that never expires": [() => sign(claims({ exp: undefined })), "unauthorized", /^claim exp is required$/],
  "an end that is no moment": [
    () => forged({ alg: "HS256" }, JWT_SECRET).replace(/\.[^.]*\./, `.${base64({ ...claims(), exp: "never" })}.`),
    "unauthorized",
    /signature/,
  ],
  "an end beyond all time": [() => sign(claims({ exp: 1e300 })), "unauthorized", /^claim exp/],
  "a token that is not valid yet": [
    () => sign(claims({ nbf: now() + 60 })),
    "unauthorized",
    /^claim nbf: .*not valid yet/,
  ],
  "alg none, without a signature": [() => new UnsecuredJWT(claims()).encode(), "unauthorized", /signed/],
  "alg none, with one": [() => forged({ alg: "none" }, JWT_SECRET), "unauthorized", /signed/],
  "alg None, spelt otherwise": [() => forged({ alg: "nOnE" }, JWT_SECRET), "unauthorized", /HS256/],
  "no alg at all": [() => forged({ typ: "JWT" }, JWT_SECRET), "unauthorized", /not a signed JWT/],
  "another HMAC with the right secret": [
    () => sign(claims(), Buffer.alloc(64, JWT_SECRET), "HS512"),
    "unauthorized",
    /HS256/,
  ],
  "a signature of one's own key": [
    async () => sign(claims(), (await generateKeyPair("RS256")).privateKey, "RS256"),
    "unauthorized",
    /HS256/,
  ],
  "a key of one's own in the head (jwk)": [
    async () => {
      const { publicKey, privateKey } = await generateKeyPair("ES256");
      return sign(claims(), privateKey, "ES256", { jwk: await exportJWK(publicKey) });
    },
    "unauthorized",
    /HS256/,
  ],
  "an address of one's own keys in the head (jku, kid)": [
    () => sign(claims(), Buffer.alloc(32, "eve"), "HS256", { jku: "http://127.0.0.1:1/keys", kid: "../../dev/null" }),
    "unauthorized",
    /signature/,
  ],
  "an extension that must be understood (crit)": [
    () => forged({ alg: "HS256", crit: ["exp"], exp: 1 }, JWT_SECRET),
    "unauthorized",
    /not a signed JWT/,
  ],
  "an unencoded payload (b64: false)": [
    () => forged({ alg: "HS256", b64: false, crit: ["b64"] }, JWT_SECRET),
    "unauthorized",
    /not a signed JWT/,
  ],
  "no secret: the empty one": [() => forged({ alg: "HS256" }, ""), "unauthorized", /signature/],
  "another secret": [() => sign(claims(), Buffer.alloc(32, randomUUID())), "unauthorized", /signature/],
  "claims in place of others": [tampered, "unauthorized", /signature/],
  "a signature that was cut off": [
    async () => (await sign(claims())).replace(/\.[^.]*$/, "."),
    "unauthorized",
    /signature|signed/,
  ],
  "an encrypted token": [
    () =>
      new EncryptJWT(claims())
        .setProtectedHeader({ alg: "dir", enc: "A128CBC-HS256" })
        .encrypt(Buffer.alloc(32, JWT_SECRET)),
    "unauthorized",
    /not a signed JWT/,
  ],
  "a signed text that is no JSON": [
    () => new CompactSign(Buffer.from("eve")).setProtectedHeader({ alg: "HS256" }).sign(SECRET),
    "unauthorized",
    /not a signed JWT/,
  ],
  "a signed list": [
    () => new CompactSign(Buffer.from("[]")).setProtectedHeader({ alg: "HS256" }).sign(SECRET),
    "unauthorized",
    /not a signed JWT/,
  ],
  "claims that nest without end": [
    () => new CompactSign(Buffer.from("[".repeat(40_000))).setProtectedHeader({ alg: "HS256" }).sign(SECRET),
    "unauthorized",
    /not a signed JWT/,
  ],
  "a token of a megabyte, nearly": [() => "x".repeat(900_000), "unauthorized", /at most 65536 bytes/],
  "another issuer": [() => sign(claims({ iss: "https://auth.example.evil" })), "unauthorized", /^claim iss must be/],
  "no issuer": [() => sign(claims({ iss: undefined })), "unauthorized", /^claim iss is required$/],
  "another audience": [() => sign(claims({ aud: "billing" })), "unauthorized", /^claim aud must be/],
  "no audience": [() => sign(claims({ aud: undefined })), "unauthorized", /^claim aud is required$/],
  "the user server": [() => sign(claims({ sub: "server" })), "unauthorized", /^claim sub must not be "server"/],
  "no user": [() => sign(claims({ sub: undefined })), "unauthorized", /^claim sub is required$/],
  "an empty user": [() => sign(claims({ sub: "" })), "unauthorized", /^claim sub/],
  "half a character for a user": [
    () => sign(claims({ sub: "eve\ud800" })),
    "unauthorized",
    /^claim sub must be well-formed/,
  ],
  "101 patterns": [
    () => sign(claims({ rooms: Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`r${n}`, ["join"]])) })),
    "unauthorized",
    /^claim rooms/,
  ],
  "a permission that there is not": [() => sign(claims({ rooms: { "*": ["root"] } })), "unauthorized", /^claim rooms/],
};

/** What a stock client with this token is told, and all events that it received. */
function attempt(url: string, token: string): Promise<{ refusal: WireError | undefined; events: string[] }> {
  const socket = stockClient(url, "", { auth: { token }, transports: ["websocket"], reconnection: false });
  const events: string[] = [];
  socket.onAny((name: string) => events.push(name));
  return new Promise((resolve) => {
    socket.once("welcome", () => resolve({ refusal: undefined, events }));
    socket.once("connect_error", (error: Error & { data?: WireError }) => resolve({ refusal: error.data, events }));
    socket.connect();
  });
}

describe("whoever comes with a token that is none, or another's", () => {
  let url: string;
  beforeAll(async () => {
    const env = { REDIS_URL: "memory:", JWT_ISSUER: ISSUER, JWT_AUDIENCE: AUDIENCE, RATE_LIMITS: "off" };
    const cluster = await startCluster({ nodes: 1, env });
    url = cluster.urls[0] ?? "";
    return () => cluster.stop();
  });

  for (const [what, [make, code, says]] of Object.entries(ATTACKS)) {
    it(`[G7] ${what}: refused when connecting, and on a live connection, which goes on as before`, async () => {
      const token = await make();
      const { refusal, events } = await attempt(url, token);
      expect(refusal).toMatchObject({ code, message: expect.stringMatching(says), retryable: false });
      expect(events).toEqual([]);

      const live = await connectWitness(url, { token: await sign(claims()) });
      const { error } = await live.refused("renewToken", { token });
      expect(error.code).toBe(token === "" ? "bad_request" : code);
      await live.ok("joinRoom", { room: "chat:1" });
      live.socket.disconnect();
    });
  }

  it("[G7] another user's token on a live connection: refused, whoever it was stays that one", async () => {
    const ada = await connectWitness(url, { token: await sign(claims({ sub: "ada", rooms: {} })) });
    const { error } = await ada.refused("renewToken", { token: await sign(claims({ sub: "root" })) });
    expect(error.code).toBe("forbidden");
    expect((await ada.refused("joinRoom", { room: "chat:1" })).error.code).toBe("forbidden");
  });

  it("[G7] requests before the handshake, and in namespaces without one: no answer, and no event", async () => {
    const member = await connectWitness(url, { token: await sign(claims({ sub: "ada" })) });
    await member.ok("joinRoom", { room: "chat:early" });
    const eve = await openRaw(url);
    for (const frame of ['421["joinRoom",{"room":"chat:early"}]', '42/x,2["getHistory",{"room":"chat:early"}]'])
      eve.send(frame);
    await member.ok("sendMessage", { room: "chat:early", data: 1 });
    await eventually(() => expect(eve.closed).toBe(true));
    expect(eve.heard.filter((frame) => !frame.startsWith("0"))).toEqual([]);
  });

  for (const days of [LONGEST_TIMER_DAYS, 25, 50, 365, 36_500]) {
    it(`[G7] a token for ${days} days, longer than a timer may be: neither ended nor warned at once`, async () => {
      const exp = now() + Math.ceil(days * DAY_SECONDS) + 60;
      const live = await connectRaw(url, await sign(claims({ exp })));
      const heard: string[] = [];
      live.onFrame = (frame) => heard.push(frame);
      live.send(`421${JSON.stringify(["renewToken", { token: await sign(claims({ exp: exp + 60 })) }])}`);
      await eventually(() => expect(heard.some((frame) => frame.startsWith("431"))).toBe(true));
      // A timer that fires at once would have fired before this answer, and the socket been closed.
      live.send('422["joinRoom",{"room":"chat:1"}]');
      await eventually(() => expect(heard.some((frame) => frame.startsWith('432[{"ok":true'))).toBe(true));
      expect(heard.filter((frame) => /tokenExpiring|ending/.test(frame))).toEqual([]);
      expect(live.isOpen).toBe(true);
      live.close();
    });
  }
});

describe("whoever takes a public key for a secret", () => {
  it("[G7] HS/RS confusion: nothing signed by what everybody can read gets in", async () => {
    const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
    const jwk = { ...(await exportJWK(publicKey)), kid: "one", alg: "RS256" };
    const server = createServer((_request, response) => response.end(JSON.stringify({ keys: [jwk] })));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const JWKS_URL = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    const cluster = await startCluster({ nodes: 1, env: { REDIS_URL: "memory:", JWT_SECRET: "", JWKS_URL } });
    const url = cluster.urls[0] ?? "";
    try {
      const spki = await exportSPKI(publicKey);
      for (const secret of [
        spki,
        spki.trim(),
        JSON.stringify(jwk),
        Buffer.from(jwk.n ?? "", "base64url"),
        jwk.n ?? "",
      ]) {
        for (const head of [
          { alg: "HS256", kid: "one" },
          { alg: "HS256" },
          { alg: "none", kid: "one" },
          { alg: "RS256", kid: "one" },
        ]) {
          const { refusal } = await attempt(url, forged(head, secret));
          expect(refusal, JSON.stringify(head)).toMatchObject({ code: "unauthorized" });
        }
      }
      for (const alg of ["PS256", "RS384", "RS512"]) {
        const other = await generateKeyPair(alg);
        const token = await sign(claims(), other.privateKey, alg, { kid: "one" });
        expect((await attempt(url, token)).refusal, alg).toMatchObject({ code: "unauthorized" });
      }
      const right = await sign(claims(), privateKey, "RS256", { kid: "one" });
      expect((await attempt(url, right)).refusal).toBeUndefined();
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
