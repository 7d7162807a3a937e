import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Registry } from "prom-client";
import { afterAll, describe, expect, it } from "vitest";
import { ConfigError, parseConfig } from "../../src/config/config.ts";
import { WebhookMetrics } from "../../src/telemetry/webhook-metrics.ts";
import { Endpoints, parseEndpoints } from "../../src/webhooks/endpoints.ts";
import { eventsOf, WEBHOOK_EVENTS } from "../../src/webhooks/events.ts";
import { webhookSecret } from "../support/webhook-receiver.ts";

const PAGE = readFileSync(new URL("../../docs/webhooks.md", import.meta.url), "utf8");
const SECRET = webhookSecret();
const GOOD = { url: "https://example.com/hooks", secrets: [SECRET], events: ["message.sent"] };
const folder = mkdtempSync(join(tmpdir(), "roomcast-webhook-endpoints-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function problems(endpoint: object, production = false): readonly string[] {
  const result = parseEndpoints({ fine: GOOD, one: endpoint }, production);
  return result.ok ? [] : result.problems;
}

function endpoints(all: object): Endpoints {
  const result = parseEndpoints(all, true);
  if (!result.ok) throw new Error(result.problems.join("; "));
  return new Endpoints(result.endpoints);
}

describe("endpoints", () => {
  it("[G7] are refused whole, each by its field, and no secret is shown", () => {
    const long = "whsec_c2hvcnQ=";
    const cases: [object, string][] = [
      [{ ...GOOD, url: "ftp://x" }, "one.url must be an http:// or https:// URL"],
      [{ ...GOOD, url: "https://me:pw@x" }, "one.url must hold no user and no password"],
      [{ ...GOOD, events: ["message.read"] }, `one.events[0] must be one of ${WEBHOOK_EVENTS.join(", ")}`],
      [{ ...GOOD, events: [] }, "one.events must be at least 1 items"],
      [{ ...GOOD, secrets: [SECRET, long] }, "one.secrets[1] must be whsec_ and the base64 of 24 to 64 bytes"],
      [{ ...GOOD, secretFiles: ["x"] }, "one.secrets or secretFiles must be there, and not both"],
      [{ url: GOOD.url, events: GOOD.events }, "one.secrets or secretFiles must be there, and not both"],
      [
        { url: GOOD.url, events: GOOD.events, secretFiles: [join(folder, "none")] },
        `one.secretFiles[0] names a file that cannot be read (ENOENT): ${join(folder, "none")}`,
      ],
      [{ ...GOOD, roomTypes: ["a:b"] }, "one.roomTypes[0] must not contain a colon: a type is what stands before it"],
      [
        { ...GOOD, roomTypes: ["a"], events: ["connection.opened"] },
        "one.roomTypes must not be there: connections are of no room",
      ],
      [{ ...GOOD, retrySeconds: 0 }, "one.retrySeconds must be at least 1"],
      [{ ...GOOD, maxQueuedBytes: 300_000 }, "one.maxQueuedBytes must be at least 4 times maxBatchBytes"],
      [{ ...GOOD, secret: "x" }, "one has unknown fields: secret"],
    ];
    for (const [endpoint, problem] of cases) expect(problems(endpoint), problem).toEqual([problem]);
    expect(problems(GOOD)).toEqual([]);
    expect(parseEndpoints({ "a b": GOOD }, false)).toMatchObject({
      problems: ['the name "a b" must be 1 to 64 characters of a-z, 0-9 and -'],
    });
    expect(parseEndpoints([], false)).toMatchObject({ ok: false });
    const many = Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`e${index}`, GOOD]));
    expect(parseEndpoints(many, false)).toMatchObject({ problems: ["the file must hold at most 20 endpoints"] });
  });

  it("[G7] must be https in production, but for loopback", () => {
    expect(problems({ ...GOOD, url: "http://127.0.0.1:8080/x" }, true)).toEqual([]);
    expect(problems({ ...GOOD, url: "http://10.0.0.7/x" }, false)).toEqual([]);
    expect(problems({ ...GOOD, url: "http://10.0.0.7/x" }, true)).toEqual([
      "one.url must be https:// in production, unless it is on loopback",
    ]);
  });

  it("[G7] secrets may be in files", () => {
    const path = file("secret", `${SECRET}\n`);
    const result = parseEndpoints({ one: { url: GOOD.url, events: GOOD.events, secretFiles: [path] } }, true);
    expect(result.ok && result.endpoints[0]?.secrets).toEqual([Buffer.from(SECRET.slice(6), "base64")]);
  });

  it("[G7] the configuration names file and field, and refuses them without a Redis", () => {
    const refused = (env: Record<string, string>) => {
      try {
        parseConfig(env);
      } catch (error) {
        if (error instanceof ConfigError) return error.problems;
      }
      throw new Error("this should not make a configuration");
    };
    const REDIS_URL = "redis://127.0.0.1";
    const wrong = file("wrong.json", JSON.stringify({ one: { ...GOOD, retrySeconds: "day" } }));
    expect(refused({ REDIS_URL, WEBHOOKS: wrong })).toEqual([`WEBHOOKS (${wrong}): one.retrySeconds must be a number`]);
    const broken = file("broken.json", `{"one":{"secrets":["${SECRET}]}`);
    expect(refused({ REDIS_URL, WEBHOOKS: broken })).toEqual([`WEBHOOKS names a file that is not JSON: ${broken}`]);
    const good = file("good.json", JSON.stringify({ one: GOOD }));
    const without: Record<string, string>[] = [{}, { REDIS_URL: "memory:" }];
    for (const env of without) {
      expect(refused({ ...env, WEBHOOKS: good })).toEqual([expect.stringMatching(/^WEBHOOKS needs a REDIS_URL/)]);
    }
    expect(parseConfig({ REDIS_URL, WEBHOOKS: good }).webhooks.map(({ name }) => name)).toEqual(["one"]);
  });

  it("[G9] choose by event and room type, and never the service's own rooms", () => {
    const all = endpoints({
      all: { ...GOOD, events: ["message.sent", "connection.opened"] },
      chat: { ...GOOD, events: ["member.left"], roomTypes: ["chat"] },
    });
    expect(all.wantsNews("game:1", "messages")).toBe(true);
    expect(all.wantsNews("game:1", "presence")).toBe(false);
    expect(all.wantsNews("chat:1", "presence")).toBe(true);
    expect(all.wantsNews("_control", "messages")).toBe(false);
    expect(all.of("member.left", "chat").map(({ name }) => name)).toEqual(["chat"]);
    expect(all.of("member.left", "chatter")).toEqual([]);
    expect(all.wantConnections).toBe(true);
    expect(endpoints({ one: GOOD }).wantConnections).toBe(false);
  });
});

describe("events", () => {
  const entry = (id: string, fields: Record<string, string>) => ({ id, fields: new Map(Object.entries(fields)) });

  it("[G4] have ids that name them whoever makes them, and no other", () => {
    const joined = entry("1700000000000-0", { k: "joined", b: '{"id":"ada"}', n: "1", v: "7" });
    const once = eventsOf("chat:1", joined);
    expect(once.map(({ type }) => type)).toEqual(["room.occupied", "member.joined"]);
    expect(eventsOf("chat:1", joined)).toEqual(once);
    const others = [...eventsOf("chat:2", joined), ...eventsOf("chat:1", { ...joined, id: "1700000000000-1" })];
    const ids = [...once, ...others].map(({ json }) => JSON.parse(json).id);
    expect(new Set(ids).size).toBe(6);
    expect(JSON.parse(once[1]?.json ?? "")).toEqual({
      id: expect.stringMatching(/^evt_[\w-]{22}$/),
      type: "member.joined",
      timestamp: "2023-11-14T22:13:20.000Z",
      data: { room: "chat:1", user: { id: "ada" }, memberCount: 1, version: 7 },
    });
  });

  it("[G4] carry a message as it was sent, byte for byte", () => {
    const body = '{"seq":1,"ts":2,"data":12345678901234567890.10}';
    const [sent] = eventsOf("chat:1", entry("1700000000000-0", { k: "message", e: "e1", s: "1", b: body }));
    expect(sent?.json).toContain(`"data":{"room":"chat:1","epoch":"e1","message":${body}}`);
    expect(() => eventsOf("chat:1", entry("1700000000000-0", { k: "other" }))).toThrow("unknown kind");
  });
});

describe("docs/webhooks.md", () => {
  const names = (part: string) => {
    const [, table = ""] = new RegExp(`<!-- ${part}:start -->\n(.*?)<!-- ${part}:end -->`, "s").exec(PAGE) ?? [];
    return [...table.matchAll(/^\| ([^|]*) \|([^|]*)\|/gm)].slice(2).map(([, first = "", second = ""]) => ({
      names: [...first.matchAll(/`(\w+)`/g)].map(([, name]) => name),
      second: second.trim(),
    }));
  };

  it("has every field of an endpoint with its default, and no other", () => {
    const result = parseEndpoints({ one: GOOD }, true);
    const endpoint = (result.ok ? result.endpoints[0] : undefined) as unknown as Record<string, unknown>;
    const defaults = { ...endpoint, retrySeconds: Number(endpoint.retryMs) / 1_000 } as Record<string, unknown>;
    const rows = names("endpoint-fields");
    const own = Object.keys(defaults).filter((name) => name !== "name" && name !== "retryMs");
    expect(rows.flatMap((row) => row.names).sort()).toEqual([...own, "secretFiles"].sort());
    for (const {
      names: [name = ""],
      second,
    } of rows) {
      if (/^\d+$/.test(second)) expect(defaults[name], name).toBe(Number(second));
    }
  });

  it("has every metric with its labels, and every event", () => {
    const registry = new Registry();
    new WebhookMetrics(registry, ["one"]);
    const ours = registry.getMetricsAsArray().map((metric) => ({
      names: [metric.name],
      second: ((Reflect.get(metric, "labelNames") ?? []) as string[]).map((label) => `\`${label}\``).join(", "),
    }));
    expect(names("webhook-metrics")).toEqual(ours);
    for (const event of WEBHOOK_EVENTS) expect(PAGE).toContain(`\`${event}\``);
  });
});
