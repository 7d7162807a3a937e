import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import {
  JWKS_COOLDOWN_MS,
  JWKS_KEPT_MS,
  JWKS_MAX_AGE_MS,
  JWKS_RETRY_MS,
  JWKS_TIMEOUT_MS,
  MAX_JWKS_BYTES,
} from "../../src/auth/remote-keys.ts";
import { TokenVerifier } from "../../src/auth/tokens.ts";
import { RoomcastError } from "../../src/errors.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { connectWitness } from "../support/witness.ts";

const UNREADABLE = /^unavailable: the keys that verify tokens cannot be read/;
const UNKNOWN = /^unauthorized: .* JWKS_URL does not have/;

interface Signer {
  readonly jwk: JWK;
  token(kid?: string): Promise<string>;
}

async function signer(kid: string): Promise<Signer> {
  const { publicKey, privateKey }: { publicKey: CryptoKey; privateKey: CryptoKey } = await generateKeyPair("ES256");
  return {
    jwk: { ...(await exportJWK(publicKey)), kid, alg: "ES256" },
    token: (named = kid) =>
      new SignJWT({ sub: "ada", rooms: { "*": ["*"] } })
        .setProtectedHeader({ alg: "ES256", kid: named })
        .setExpirationTime("30 days")
        .sign(privateKey),
  };
}

/** A server of keys that answers what the test tells it to. */
async function startKeyServer(keys: readonly JWK[]) {
  const state = { keys, reads: 0, answer: undefined as RequestListener | undefined };
  const server = createServer((request, response) => {
    state.reads += 1;
    if (state.answer !== undefined) state.answer(request, response);
    else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ keys: state.keys }));
  });
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const down = () => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  };
  stopsWithTest(down);
  return { state, url: new URL(`http://127.0.0.1:${port}/jwks`), down, up: () => listen(port) };
}

/** Tokens verified with these keys, by a clock that the test moves. */
function verifierOf(url: URL) {
  const clock = { now: 0 };
  const heard: string[] = [];
  const verifier = new TokenVerifier(
    { keys: { kind: "jwks", url }, issuer: undefined, audience: undefined },
    { now: () => clock.now, lost: (error) => heard.push(`lost: ${String(error)}`), back: () => heard.push("back") },
  );
  const outcome = async (token: string) => {
    try {
      return (await verifier.verify(token)).user;
    } catch (error) {
      if (error instanceof RoomcastError) return `${error.code}: ${error.message}`;
      throw error;
    }
  };
  return { clock, heard, outcome };
}

const BROKEN: Record<string, RequestListener> = {
  "a key set without end": (_request, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.write('{"keys":[');
    const more = () => {
      while (!response.destroyed && response.write(" ".repeat(16_384)));
    };
    response.on("drain", more);
    more();
  },
  "a key set that is huge": (_request, response) => {
    response.writeHead(200).end(JSON.stringify({ keys: [], more: "x".repeat(MAX_JWKS_BYTES) }));
  },
  "no JSON": (_request, response) => response.writeHead(200).end("<html>log in first</html>"),
  "JSON that is no key set": (_request, response) => response.writeHead(200).end('{"keys":"none"}'),
  "deep JSON": (_request, response) => response.writeHead(200).end("[".repeat(100_000)),
  "an error": (_request, response) => response.writeHead(500).end(),
  "a redirect": (_request, response) => response.writeHead(302, { location: "/elsewhere" }).end(),
  "nothing, and hangs up": (request) => request.socket.destroy(),
};

describe("whoever makes the server of public keys unreadable", () => {
  let ada: Signer;
  let next: Signer;
  beforeAll(async () => {
    [ada, next] = await Promise.all([signer("one"), signer("two")]);
  });

  for (const [what, answer] of Object.entries(BROKEN)) {
    it(`[G7] it answers ${what}: nobody new gets in by it, and nobody who has a known key is shut out`, async () => {
      const { state, url } = await startKeyServer([ada.jwk]);
      const { clock, heard, outcome } = verifierOf(url);
      state.answer = answer;
      expect(await outcome(await ada.token())).toMatch(UNREADABLE);
      expect(heard).toEqual([expect.stringContaining("lost: ")]);
      state.answer = undefined;
      clock.now += JWKS_RETRY_MS;
      expect(await outcome(await ada.token())).toBe("ada");

      state.answer = answer;
      clock.now += JWKS_MAX_AGE_MS;
      expect(await outcome(await ada.token())).toBe("ada");
      expect(await outcome(await next.token())).toMatch(UNKNOWN);
      expect(state.reads).toBe(3);
      expect(heard.slice(1)).toEqual(["back", expect.stringContaining("lost: ")]);
    });
  }

  it("[G7] it answers byte by byte: no handshake waits longer than the time limit", async () => {
    const { state, url } = await startKeyServer([ada.jwk]);
    const { outcome } = verifierOf(url);
    state.answer = (_request, response) => {
      response.writeHead(200);
      const more = setInterval(() => response.write(" "), 50);
      response.on("close", () => clearInterval(more));
    };
    const started = performance.now();
    const outcomes = await Promise.all(Array.from({ length: 20 }, async () => outcome(await ada.token())));
    expect(performance.now() - started).toBeLessThan(JWKS_TIMEOUT_MS + 1_500);
    for (const one of outcomes) expect(one).toMatch(UNREADABLE);
    expect(state.reads).toBe(1);
  });

  it("[G7] it is down: the keys that are known go on for a day, and no longer", async () => {
    const { url, down, up } = await startKeyServer([ada.jwk]);
    const { clock, outcome } = verifierOf(url);
    expect(await outcome(await ada.token())).toBe("ada");
    await down();
    for (const age of [JWKS_MAX_AGE_MS, JWKS_KEPT_MS / 2, JWKS_KEPT_MS - 1]) {
      clock.now = age;
      expect(await outcome(await ada.token())).toBe("ada");
    }
    clock.now = JWKS_KEPT_MS + JWKS_COOLDOWN_MS;
    expect(await outcome(await ada.token())).toMatch(UNREADABLE);
    await up();
    clock.now += JWKS_COOLDOWN_MS;
    expect(await outcome(await ada.token())).toBe("ada");
  });

  it("[G7] it is down from the start: connecting is refused as retryable, and clients get in once it is up", async () => {
    const { url, down, up } = await startKeyServer([ada.jwk]);
    await down();
    const cluster = await startCluster({
      nodes: 1,
      env: { REDIS_URL: "memory:", JWT_SECRET: "", JWKS_URL: url.href },
    });
    const token = await ada.token();
    const connect = () => connectWitness(cluster.urls[0] ?? "", { token, reconnection: false });
    await expect(connect()).rejects.toMatchObject({ data: { code: "unavailable", retryable: true } });
    await up();
    await eventually(connect);
    const lines = cluster.logs(0).filter((line) => line.includes("JWKS_URL"));
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
      "the keys of JWKS_URL cannot be read",
      "the keys of JWKS_URL can be read again",
    ]);
  });
});

describe("whoever names keys that are not there", () => {
  it("[G7] a flood of made-up keys: one reading in a cooldown, and a new key is found all the same", async () => {
    const [ada, next] = await Promise.all([signer("one"), signer("two")]);
    const { state, url } = await startKeyServer([ada.jwk]);
    const { clock, outcome } = verifierOf(url);
    expect(await outcome(await ada.token())).toBe("ada");
    const flood = async () => {
      const tokens = await Promise.all(Array.from({ length: 200 }, (_, n) => ada.token(`made-up-${n}`)));
      for (const one of await Promise.all(tokens.map(outcome))) expect(one).toMatch(UNKNOWN);
    };
    await flood();
    expect(state.reads).toBe(1);
    clock.now += JWKS_COOLDOWN_MS;
    await flood();
    expect(state.reads).toBe(2);

    state.keys = [ada.jwk, next.jwk];
    clock.now += JWKS_COOLDOWN_MS;
    expect(await outcome(await next.token())).toBe("ada");
    expect(await outcome(await ada.token())).toBe("ada");
    expect(state.reads).toBe(3);
  });

  it("[G7] a key that was withdrawn: it counts no longer than keys are kept without looking", async () => {
    const [ada, next] = await Promise.all([signer("one"), signer("two")]);
    const { state, url } = await startKeyServer([ada.jwk]);
    const { clock, outcome } = verifierOf(url);
    expect(await outcome(await ada.token())).toBe("ada");
    state.keys = [next.jwk];
    clock.now += JWKS_MAX_AGE_MS - 1;
    expect(await outcome(await ada.token())).toBe("ada");
    clock.now += 1;
    expect(await outcome(await ada.token())).toMatch(UNKNOWN);
    expect(await outcome(await next.token())).toBe("ada");
  });

  it("[G7] a key by another's name signs nothing", async () => {
    const [ada, eve] = await Promise.all([signer("one"), signer("two")]);
    const { url } = await startKeyServer([ada.jwk]);
    expect(await verifierOf(url).outcome(await eve.token("one"))).toMatch(/^unauthorized: .*signature/);
  });
});
