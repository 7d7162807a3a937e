import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { type Config, ConfigError, parseConfig } from "../../src/config/config.ts";
import { VARIABLES, variablesTable } from "../../src/variables.ts";

const SECRET = "0123456789abcdef0123456789abcdef";
const PRODUCTION = { NODE_ENV: "production", REDIS_URL: "redis://redis:6379", JWT_SECRET: SECRET };

const directory = mkdtempSync(join(tmpdir(), "roomcast-config-"));
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

function problems(env: Record<string, string>): readonly string[] {
  try {
    parseConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error("this environment should not make a configuration");
}

function secretsOf(config: Config): string[] {
  const { keys } = config.tokens;
  return keys.kind === "secrets" ? keys.secrets.map((secret) => Buffer.from(secret).toString()) : [];
}

describe("without any variable", () => {
  const config = parseConfig({});

  test("a node of development: loopback, memory, random secret, demo for loopback callers", () => {
    expect(config).toMatchObject({
      production: false,
      host: "127.0.0.1",
      port: 3000,
      adminPort: 9464,
      api: { kind: "off" },
      redis: { kind: "memory" },
      redisPrefix: "roomcast",
      tokens: { keys: { kind: "secrets", generated: true }, issuer: undefined, audience: undefined },
      corsOrigins: [],
      logLevel: "info",
      dedupeSeconds: 600,
      drainSeconds: 25,
      demo: { kind: "on", tokens: "loopback" },
      warnings: [],
    });
  });

  test("the random secret is another one in each process, and long enough", () => {
    expect(Buffer.from(secretsOf(config)[0] ?? "").length).toBeGreaterThanOrEqual(32);
    expect(secretsOf(config)).not.toEqual(secretsOf(parseConfig({})));
  });

  test("[G9] every limit has a default", () => {
    for (const [name, value] of Object.entries(config.limits)) expect(value, name).toBeGreaterThan(0);
    expect(config.rates).toEqual({
      join: { perSecond: 20, burst: 200 },
      send: { perSecond: 20, burst: 40 },
      signal: { perSecond: 50, burst: 100 },
      read: { perSecond: 20, burst: 40 },
      state: { perSecond: 5, burst: 10 },
      moderate: { perSecond: 10, burst: 20 },
      renew: { perSecond: 1, burst: 10 },
    });
    expect(config.floods).toEqual({
      room: { send: { perSecond: 2_000, burst: 4_000 }, signal: { perSecond: 5_000, burst: 10_000 } },
      frames: { perSecond: 1_000, burst: 5_000 },
      refusals: { perSecond: 50, burst: 1_000 },
      connections: { perSecond: 500, burst: 1_000 },
    });
  });

  test("an empty variable counts as not set", () => {
    const empty = Object.fromEntries(Object.keys(VARIABLES).map((name) => [name, ""]));
    const { tokens: _tokens, ...same } = parseConfig({ ...empty, JWT_SECRET_FILE: "" });
    const { tokens: _others, ...expected } = config;
    expect(same).toEqual(expected);
  });
});

describe("in production", () => {
  test("listens on all addresses, without the demo", () => {
    const config = parseConfig(PRODUCTION);
    expect(config).toMatchObject({ production: true, host: "0.0.0.0", demo: { kind: "off" }, warnings: [] });
    expect(config.redis).toEqual({ kind: "server", url: "redis://redis:6379", tls: undefined });
    expect(config.tokens.keys).toMatchObject({ kind: "secrets", generated: false });
  });

  test("Redis and the keys of tokens must be named, and both are reported at once", () => {
    expect(problems({ NODE_ENV: "production" })).toEqual([
      expect.stringMatching(/^REDIS_URL must be set in production/),
      expect.stringMatching(/^JWT_SECRET or JWKS_URL must be set in production/),
    ]);
  });

  test("memory: is allowed, with a warning", () => {
    const config = parseConfig({ ...PRODUCTION, REDIS_URL: "memory:" });
    expect(config.redis).toEqual({ kind: "memory" });
    expect(config.warnings).toEqual([expect.stringContaining("memory:")]);
  });

  test("[G7] DEMO=on answers everybody, and warns", () => {
    const config = parseConfig({ ...PRODUCTION, DEMO: "on" });
    expect(config.demo).toEqual({ kind: "on", tokens: "everybody" });
    expect(config.warnings).toEqual([expect.stringContaining("POST /dev/token")]);
  });

  test("a JWKS comes by https, unless from loopback", () => {
    const env = { NODE_ENV: "production", REDIS_URL: "memory:" };
    expect(problems({ ...env, JWKS_URL: "http://keys.example.com/jwks" })).toEqual([
      expect.stringMatching(/^JWKS_URL must be https/),
    ]);
    for (const url of ["https://keys.example.com/jwks", "http://127.0.0.1:8080/jwks", "http://localhost/jwks"]) {
      expect(parseConfig({ ...env, JWKS_URL: url }).tokens.keys).toEqual({ kind: "jwks", url: new URL(url) });
    }
  });

  test("an unknown NODE_ENV is not production", () => {
    expect(parseConfig({ NODE_ENV: "staging" }).production).toBe(false);
  });
});

describe("wrong values", () => {
  test.each([
    ["PORT", "65536"],
    ["PORT", "-1"],
    ["PORT", "3000.5"],
    ["PORT", "0x10"],
    ["PORT", " 3000"],
    ["ADMIN_PORT", "http"],
    ["API_PORT", "1e3"],
    ["REDIS_URL", "http://redis"],
    ["REDIS_URL", "redis://"],
    ["REDIS_URL", "redis://redis:6379/1"],
    ["REDIS_URL", "redis://redis/rooms"],
    ["REDIS_URL", "redis://user:50%@redis"],
    ["MAX_OUTBOUND_BYTES", "65536"],
    ["REDIS_PREFIX", "a{b"],
    ["REDIS_PREFIX", "a b"],
    ["REDIS_PREFIX", "a\u0007b"],
    ["JWT_SECRET", "short"],
    ["JWT_SECRET", `${SECRET},short`],
    ["JWT_SECRET", `${SECRET},`],
    ["JWT_SECRET", `${SECRET}, ${SECRET}`],
    ["JWKS_URL", "file:///etc/passwd"],
    ["API_KEYS", "one,,two"],
    ["API_KEYS", "one, two"],
    ["CORS_ORIGINS", "https://example.com/path"],
    ["CORS_ORIGINS", "*,https://example.com"],
    ["CORS_ORIGINS", "example.com"],
    ["ROOM_TYPES", "/no/such/file"],
    ["NODE_NAME", "a\nb"],
    ["LOG_LEVEL", "loud"],
    ["DEDUPE_SECONDS", "0"],
    ["DRAIN_SECONDS", "99999"],
    ["RATE_LIMITS", "yes"],
    ["DEMO", "true"],
    ["MAX_PAYLOAD_BYTES", "9999999"],
    ["RATE_SEND_PER_SECOND", "0"],
  ])("%s=%j is one problem that begins with its name", (name, value) => {
    const found = problems({ [name]: value });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(new RegExp(`^${name} `));
  });

  test("the message has a line for each wrong variable", () => {
    const env = { NODE_ENV: "production", PORT: "x", REDIS_URL: "x", JWT_SECRET: "x", DEMO: "x" };
    expect(() => parseConfig(env)).toThrow(ConfigError);
    const lines = problems(env).map((problem) => problem.split(" ")[0]);
    expect(lines.sort()).toEqual(["DEMO", "JWT_SECRET", "PORT", "REDIS_URL"]);
    expect(() => parseConfig(env)).toThrow(problems(env).join("\n"));
  });

  test("[G7] a secret is never repeated in a message", () => {
    const env = { REDIS_URL: "http://:hunter2@redis", JWT_SECRET: "hunter2", API_KEYS: "hunter2 " };
    expect(problems(env)).toHaveLength(3);
    expect(problems(env).join("\n")).not.toContain("hunter2");
  });

  test("variables that contradict each other", () => {
    expect(problems({ JWT_SECRET: SECRET, JWKS_URL: "https://example.com" })).toEqual([
      expect.stringMatching(/^JWT_SECRET and JWKS_URL must not both be set/),
    ]);
    expect(problems({ PORT: "4000", ADMIN_PORT: "4000" })).toEqual([expect.stringContaining("ADMIN_PORT")]);
    expect(problems({ API_PORT: "4000", ADMIN_PORT: "4000" })).toEqual([expect.stringContaining("API_PORT")]);
    expect(problems({ MAX_OUTBOUND_BYTES: "262144", MAX_PAYLOAD_BYTES: "262145" })).toEqual([
      expect.stringContaining("MAX_OUTBOUND_BYTES must not be less than MAX_PAYLOAD_BYTES"),
    ]);
    parseConfig({ MAX_OUTBOUND_BYTES: "262144", MAX_PAYLOAD_BYTES: "262144" });
    expect(problems({ PRESENCE_EVENTS_UP_TO_MEMBERS: "10" })).toEqual([
      expect.stringContaining("PRESENCE_EVENTS_AGAIN_BELOW_MEMBERS"),
    ]);
    expect(parseConfig({ PORT: "0", ADMIN_PORT: "0" })).toMatchObject({ port: 0, adminPort: 0 });
  });
});

describe("secrets from files", () => {
  test("the line break at the end is not part of the secret", () => {
    const config = parseConfig({ JWT_SECRET_FILE: file("secret", `${SECRET}\r\n`) });
    expect(secretsOf(config)).toEqual([SECRET]);
  });

  test("every secret variable has the form, and others have not", () => {
    const config = parseConfig({
      REDIS_URL_FILE: file("redis", "rediss://user:password@redis:6380/0\n"),
      API_KEYS_FILE: file("keys", "one,two"),
      PORT_FILE: file("port", "x"),
    });
    expect(config.redis).toEqual({ kind: "server", url: "rediss://user:password@redis:6380/0", tls: undefined });
    expect(config.api).toEqual({ kind: "public-port", keys: ["one", "two"] });
  });

  test("a missing, empty, wrong or doubled file names the variable", () => {
    expect(problems({ JWT_SECRET_FILE: "/no/such/file" })).toEqual([
      expect.stringMatching(/^JWT_SECRET_FILE .*ENOENT/),
    ]);
    expect(problems({ API_KEYS_FILE: file("empty", "\n") })).toEqual([expect.stringMatching(/^API_KEYS_FILE .*empty/)]);
    expect(problems({ JWT_SECRET_FILE: file("short", "short") })).toEqual([
      expect.stringMatching(/^JWT_SECRET_FILE must be secrets of at least 32 bytes/),
    ]);
    expect(problems({ JWT_SECRET: SECRET, JWT_SECRET_FILE: file("both", SECRET) })).toEqual([
      "JWT_SECRET and JWT_SECRET_FILE must not both be set",
    ]);
  });
});

describe("choices", () => {
  test("several secrets stay in their order", () => {
    expect(secretsOf(parseConfig({ JWT_SECRET: `${SECRET}1,${SECRET}2` }))).toEqual([`${SECRET}1`, `${SECRET}2`]);
  });

  test("with a JWKS the demo has no tokens to give", () => {
    const config = parseConfig({ JWKS_URL: "http://keys/jwks", DEMO: "on" });
    expect(config.demo).toEqual({ kind: "on", tokens: "nobody" });
    expect(config.warnings).toEqual([expect.stringContaining("JWKS_URL")]);
    expect(parseConfig({ DEMO: "off" }).demo).toEqual({ kind: "off" });
  });

  test("/v1 is on the public port, or on its own", () => {
    const keys = { API_KEYS: "key" };
    expect(parseConfig(keys).api).toEqual({ kind: "public-port", keys: ["key"] });
    expect(parseConfig({ ...keys, API_PORT: "3000" }).api.kind).toBe("public-port");
    expect(parseConfig({ ...keys, API_PORT: "3001" }).api).toEqual({ kind: "own-port", port: 3001, keys: ["key"] });
    expect(parseConfig({ API_PORT: "3001" }).warnings).toEqual([expect.stringContaining("API_KEYS")]);
  });

  test("origins, rates and the rest", () => {
    expect(parseConfig({ CORS_ORIGINS: "*" }).corsOrigins).toBe("*");
    const origins = parseConfig({ CORS_ORIGINS: "https://a.example, http://localhost:8080" }).corsOrigins;
    expect(origins).toEqual(["https://a.example", "http://localhost:8080"]);
    expect(parseConfig({ RATE_LIMITS: "off" })).toMatchObject({ rates: "off", floods: "off", apiRate: "off" });
    expect(parseConfig({ RATE_SEND_BURST: "7" }).rates).toMatchObject({ send: { perSecond: 20, burst: 7 } });
    expect(parseConfig({ MAX_STATE_BYTES: "77" }).limits.maxStateBytes).toBe(77);
  });
});

describe("TLS to Redis", () => {
  test("needs rediss://, a key for each certificate, and PEM that is some", () => {
    const text = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----";
    const url = "rediss://redis:6380";
    expect(problems({ REDIS_CA: "x", REDIS_URL: url })).toEqual([expect.stringMatching(/^REDIS_CA must be PEM text/)]);
    expect(problems({ REDIS_CA: text, REDIS_URL: "redis://redis:6379" })).toEqual([
      "REDIS_CA and REDIS_CERT need a REDIS_URL that begins with rediss://",
      "REDIS_CA, REDIS_CERT and REDIS_KEY must be certificates, and the key that fits them",
    ]);
    expect(problems({ REDIS_CERT: text, REDIS_URL: url })).toContain("REDIS_CERT and REDIS_KEY must be set together");
  });
});

describe("TRUSTED_PROXIES", () => {
  test("are networks, or none, or not known", () => {
    expect(parseConfig({}).trustedProxies).toBeUndefined();
    expect(parseConfig({ TRUSTED_PROXIES: "none" }).trustedProxies).toEqual([]);
    expect(parseConfig({ TRUSTED_PROXIES: "10.0.0.0/8, loopback,fd00::/8" }).trustedProxies).toEqual([
      "10.0.0.0/8",
      "loopback",
      "fd00::/8",
    ]);
    for (const wrong of ["10.0.0.0/33", "all", "10.0.0.0/8,,", "*"]) {
      expect(problems({ TRUSTED_PROXIES: wrong })).toEqual([
        expect.stringMatching(/^TRUSTED_PROXIES must be none, or/),
      ]);
    }
  });

  test("are what a limit by address needs", () => {
    expect(problems({ MAX_CONNECTIONS_PER_ADDRESS: "5" })).toEqual([expect.stringContaining("needs TRUSTED_PROXIES")]);
    const { limits } = parseConfig({ MAX_CONNECTIONS_PER_ADDRESS: "5", TRUSTED_PROXIES: "none" });
    expect(limits.maxConnectionsPerAddress).toBe(5);
  });
});

describe("ROOM_TYPES", () => {
  test("is read at the start", () => {
    const path = file("types.json", JSON.stringify({ chat: { history: { maxMessages: 5 } } }));
    const { roomTypes } = parseConfig({ ROOM_TYPES: path, PRESENCE_EVENTS_UP_TO_MEMBERS: "90" });
    expect(roomTypes.of("chat:1").retention.maxMessages).toBe(5);
    expect(roomTypes.of("game:1").retention.maxMessages).toBe(1000);
    expect(roomTypes.of("chat:1").presence).toEqual({ upToMembers: 90, againBelowMembers: 80 });
  });

  test("names the file and the place in it", () => {
    const path = file("wrong.json", JSON.stringify({ chat: { history: { maxMessages: 0 }, acess: "token" } }));
    expect(problems({ ROOM_TYPES: path })).toEqual([
      `ROOM_TYPES (${path}): chat.history.maxMessages must be at least 1`,
      `ROOM_TYPES (${path}): chat has unknown fields: acess`,
    ]);
    expect(problems({ ROOM_TYPES: file("broken.json", "{") })).toEqual([expect.stringContaining("is not JSON")]);
  });
});

describe("the README's table", () => {
  const script = new URL("../../scripts/readme-table.mjs", import.meta.url).pathname;
  const run = (...args: string[]) => promisify(execFile)(process.execPath, [script, ...args]);

  test("has a row for every variable", () => {
    const table = variablesTable();
    for (const name of Object.keys(VARIABLES)) expect(table).toContain(`| \`${name}\``);
    expect(table).toContain("| `JWT_SECRET`, `JWT_SECRET_FILE` |");
  });

  test("is written between its marks, and --check sees when it is old", async () => {
    const marks = "<!-- errors:start -->\n<!-- errors:end -->\n";
    const path = file("README.md", `# T\n${marks}<!-- variables:start -->\nold\n<!-- variables:end -->\nrest\n`);
    await expect(run("--check", path)).rejects.toMatchObject({ code: 1 });
    await run(path);
    await expect(run("--check", path)).resolves.toBeDefined();
    const text = readFileSync(path, "utf8");
    expect(text).toContain(`\n<!-- variables:start -->\n${variablesTable()}\n<!-- variables:end -->\nrest\n`);
  });
});
