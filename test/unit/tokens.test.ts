import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { issueDevToken, signToken } from "../../src/auth/dev-tokens.ts";
import { type Identity, type TokenSettings, TokenVerifier } from "../../src/auth/tokens.ts";
import { RoomcastError } from "../../src/errors.ts";

const SECRET = Buffer.from("0123456789abcdef0123456789abcdef");
const OTHER_SECRET = Buffer.from("fedcba9876543210fedcba9876543210");

function settings(overrides: Partial<TokenSettings> = {}, secrets: readonly Uint8Array[] = [SECRET]): TokenSettings {
  return { keys: { kind: "secrets", secrets, generated: false }, issuer: undefined, audience: undefined, ...overrides };
}

function seconds(fromNow = 0): number {
  return Math.floor(Date.now() / 1000) + fromNow;
}

function sign(claims: JWTPayload, key: Uint8Array | CryptoKey = SECRET, alg = "HS256", kid?: string): Promise<string> {
  return new SignJWT(claims).setProtectedHeader(kid === undefined ? { alg } : { alg, kid }).sign(key);
}

/** What the verifier answers: who it is, or the refusal as clients see it. */
async function outcome(verifier: TokenVerifier, token: string): Promise<Identity | string> {
  try {
    return await verifier.verify(token);
  } catch (error) {
    if (!(error instanceof RoomcastError)) throw error;
    return `${error.code}: ${error.message}`;
  }
}

const verifier = new TokenVerifier(settings());
const good = (): JWTPayload => ({ sub: "ada", exp: seconds(60) });

describe("[G7] a valid token", () => {
  test("tells who it is, until when, and what they may do", async () => {
    const exp = seconds(60);
    const identity = await verifier.verify(
      await sign({ sub: "ada", name: "Ada", exp, rooms: { "chat:*": ["join"], "admin:*": ["*"] } }),
    );
    expect(identity).toMatchObject({ user: "ada", name: "Ada", expiresAt: exp * 1000 });
    expect(identity.permissions.allows("chat:1", "join")).toBe(true);
    expect(identity.permissions.allows("chat:1", "send")).toBe(false);
    expect(identity.permissions.allows("admin:1", "moderate")).toBe(true);
  });

  test("needs neither name nor rooms, and then gives no room", async () => {
    const identity = await verifier.verify(await sign(good()));
    expect(identity.name).toBeUndefined();
    expect(identity.permissions.allows("chat:1", "join")).toBe(false);
  });

  test("may be signed with any of the secrets", async () => {
    const both = new TokenVerifier(settings({}, [OTHER_SECRET, SECRET]));
    await expect(both.verify(await sign(good(), SECRET))).resolves.toMatchObject({ user: "ada" });
    await expect(both.verify(await sign(good(), OTHER_SECRET))).resolves.toMatchObject({ user: "ada" });
    expect(await outcome(verifier, await sign(good(), OTHER_SECRET))).toMatch(/^unauthorized: .*signature/);
  });

  test("may be issued for a configured issuer and audience", async () => {
    const strict = new TokenVerifier(settings({ issuer: "https://me", audience: "rooms" }));
    const claims = { ...good(), iss: "https://me", aud: ["other", "rooms"] };
    await expect(strict.verify(await sign(claims))).resolves.toMatchObject({ user: "ada" });
    expect(await outcome(strict, await sign(good()))).toBe("unauthorized: claim iss is required");
    expect(await outcome(strict, await sign({ ...claims, iss: "x" }))).toBe(
      'unauthorized: claim iss must be "https://me"',
    );
    expect(await outcome(strict, await sign({ ...claims, aud: "x" }))).toBe('unauthorized: claim aud must be "rooms"');
  });
});

describe("[G7] a refusal says what to do", () => {
  const { sub: _sub, ...withoutSub } = good();
  test.each<[string, JWTPayload, string]>([
    ["no exp", { sub: "ada" }, "unauthorized: claim exp is required"],
    ["no sub", withoutSub, "unauthorized: claim sub is required"],
    ["an empty sub", { ...good(), sub: "" }, "unauthorized: claim sub must be 1 to 128 bytes"],
    ["a long sub", { ...good(), sub: "é".repeat(65) }, "unauthorized: claim sub must be 1 to 128 bytes"],
    ["half a surrogate", { ...good(), sub: "a\ud800" }, "unauthorized: claim sub must be well-formed Unicode"],
    ["a long name", { ...good(), name: "x".repeat(257) }, "unauthorized: claim name must be at most 256 bytes"],
    ["a name that is none", { ...good(), name: 1 }, "unauthorized: claim name must be a text"],
    ["rooms as a list", { ...good(), rooms: ["chat:*"] }, "unauthorized: claim rooms must be an object"],
    [
      "an unknown permission",
      { ...good(), rooms: { "*": ["fly"] } },
      'unauthorized: claim rooms["*"][0] must be one of',
    ],
    ["exp in another millennium", { ...good(), exp: 1e300 }, "unauthorized: claim exp must be"],
    ["nbf ahead", { ...good(), nbf: seconds(60) }, "unauthorized: claim nbf: the token is not valid yet"],
    ["expired", { ...good(), exp: seconds(-60) }, "token_expired: the token has expired"],
  ])("%s", async (_what, claims, expected) => {
    const result = await outcome(verifier, await sign(claims));
    expect(typeof result === "string" ? result.slice(0, expected.length) : result).toBe(expected);
  });

  test("nobody is the server", async () => {
    expect(await outcome(verifier, await sign({ ...good(), sub: "server" }))).toMatch(
      /^unauthorized: claim sub must not be "server"/,
    );
  });

  test("what is no token", async () => {
    const [head, body] = (await sign(good())).split(".");
    for (const token of ["x", "a.b.c", `${head}.${body}.`, `${head}.${body}`, "é", "x".repeat(70_000)]) {
      expect(await outcome(verifier, token)).toMatch(/^unauthorized: the token/);
    }
    expect(await outcome(verifier, "")).toMatch(/^unauthorized: a token is required/);
  });

  test("exp is taken at its word: the tolerance for clocks is for nbf only", async () => {
    expect(await outcome(verifier, await sign({ ...good(), exp: seconds(-1) }))).toMatch(/^token_expired/);
    await expect(verifier.verify(await sign({ ...good(), nbf: seconds(3) }))).resolves.toMatchObject({ user: "ada" });
  });
});

describe("[G7] the algorithm is the configuration's choice", () => {
  test("not the token's: none, other HMACs and public keys are refused", async () => {
    const claims = good();
    const { privateKey } = await generateKeyPair("RS256");
    const tokens = [
      new UnsecuredJWT(claims).encode(),
      await sign(claims, Buffer.concat([SECRET, SECRET]), "HS512"),
      await sign(claims, privateKey, "RS256"),
    ];
    for (const token of tokens)
      expect(await outcome(verifier, token)).toMatch(
        /^unauthorized: the token (must be signed with HS256$|is not a signed JWT$)/,
      );
  });
});

describe("[G7] with a JWKS", () => {
  let server: Server;
  let url: URL;
  let answer: { status: number; body: unknown };
  let reads = 0;

  beforeAll(async () => {
    server = createServer((_request, response) => {
      reads++;
      response.writeHead(answer.status, { "content-type": "application/json" }).end(JSON.stringify(answer.body));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`);
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  const withJwks = () => new TokenVerifier(settings({ keys: { kind: "jwks", url } }));

  test.each(["RS256", "ES256", "EdDSA"])("%s tokens are verified with its keys", async (alg) => {
    const { publicKey, privateKey } = await generateKeyPair(alg);
    answer = { status: 200, body: { keys: [{ ...(await exportJWK(publicKey)), kid: "one", alg }] } };
    const tokens = withJwks();
    const before = reads;
    await expect(tokens.verify(await sign(good(), privateKey, alg, "one"))).resolves.toMatchObject({ user: "ada" });
    expect(await outcome(tokens, await sign(good(), privateKey, alg, "two"))).toMatch(/^unauthorized: .*JWKS_URL/);
    await tokens.verify(await sign(good(), privateKey, alg, "one"));
    expect(reads - before, "an unknown key does not make it read again at once").toBe(1);
    const { privateKey: strange } = await generateKeyPair(alg);
    expect(await outcome(tokens, await sign(good(), strange, alg, "one"))).toMatch(/^unauthorized: .*signature/);
  });

  test("a token without kid is tried with each key", async () => {
    const pairs = [await generateKeyPair("ES256"), await generateKeyPair("ES256")];
    answer = { status: 200, body: { keys: await Promise.all(pairs.map(({ publicKey }) => exportJWK(publicKey))) } };
    const tokens = withJwks();
    for (const { privateKey } of pairs) {
      await expect(tokens.verify(await sign(good(), privateKey, "ES256"))).resolves.toMatchObject({ user: "ada" });
    }
    const { privateKey } = await generateKeyPair("ES256");
    expect(await outcome(tokens, await sign(good(), privateKey, "ES256"))).toMatch(/^unauthorized: .*signature/);
  });

  test("a public key as a secret signs nothing: what everybody can read would make everybody a signer", async () => {
    const { publicKey } = await generateKeyPair("RS256", { extractable: true });
    const jwk = { ...(await exportJWK(publicKey)), kid: "one", alg: "RS256" };
    answer = { status: 200, body: { keys: [jwk] } };
    for (const secret of [await exportSPKI(publicKey), JSON.stringify(jwk), jwk.n ?? ""]) {
      const token = await sign(good(), Buffer.from(secret), "HS256", "one");
      expect(await outcome(withJwks(), token)).toBe("unauthorized: the token must be signed with RS256, ES256, EdDSA");
    }
  });

  test("a secret among its keys verifies nothing, and neither does its text as a secret", async () => {
    answer = { status: 200, body: { keys: [{ kty: "oct", k: SECRET.toString("base64url"), alg: "HS256" }] } };
    expect(await outcome(withJwks(), await sign(good()))).toBe(
      "unauthorized: the token must be signed with RS256, ES256, EdDSA",
    );
  });

  test("that cannot be read, the outcome is unavailable", async () => {
    const { privateKey } = await generateKeyPair("ES256");
    const token = await sign(good(), privateKey, "ES256", "one");
    for (const broken of [
      { status: 500, body: {} },
      { status: 200, body: "no keys" },
    ]) {
      answer = broken;
      expect(await outcome(withJwks(), token)).toMatch(/^unavailable: the keys/);
    }
    const nobody = new TokenVerifier(settings({ keys: { kind: "jwks", url: new URL("http://127.0.0.1:1/jwks") } }));
    expect(await outcome(nobody, token)).toMatch(/^unavailable: the keys/);
  });
});

describe("development tokens", () => {
  test("are verified by the configuration that signed them", async () => {
    const strict = settings({ issuer: "https://me", audience: "rooms" });
    const claims = { sub: "ada", name: "Ada", rooms: { "chat:*": ["join" as const] }, ttlSeconds: 60 };
    const { token, expiresAt } = await signToken(SECRET, claims, strict);
    const identity = await new TokenVerifier(strict).verify(token);
    expect(identity).toMatchObject({ user: "ada", name: "Ada", expiresAt });
    expect(identity.permissions.allows("chat:1", "join")).toBe(true);
  });

  test("are for a guest who may do everything but moderate, where nothing is asked for", async () => {
    const { token, expiresAt } = await issueDevToken(SECRET, {}, settings());
    const { user, permissions } = await verifier.verify(token);
    expect(user).toMatch(/^guest-[0-9a-f]{4}$/);
    for (const permission of ["join", "send", "signal", "history"] as const) {
      expect(permissions.allows("any:room", permission)).toBe(true);
    }
    expect(permissions.allows("any:room", "moderate")).toBe(false);
    expect(expiresAt).toBeGreaterThan(Date.now() + 3_500_000);
  });

  test.each([
    [{ sub: "server" }, "sub must not be"],
    [{ sub: "" }, "sub must be 1 to 128 bytes"],
    [{ name: 5 }, "name must be a text"],
    [{ rooms: { "*": ["fly"] } }, 'rooms["*"][0] must be one of'],
    [{ ttlSeconds: 0 }, "ttlSeconds must be at least 1"],
    [{ ttlSeconds: 1e9 }, "ttlSeconds must be at most"],
    [[], "the request must be an object"],
  ])("%j is refused, naming the field", async (request, message) => {
    await expect(issueDevToken(SECRET, request, settings())).rejects.toMatchObject({
      code: "bad_request",
      message: expect.stringContaining(message),
    });
  });
});
