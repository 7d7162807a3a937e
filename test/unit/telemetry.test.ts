import { Writable } from "node:stream";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../src/errors.ts";
import { REQUESTS } from "../../src/protocol.ts";
import { METRICS, type MetricRow } from "../../src/telemetry/catalogue.ts";
import { createLogger, type LogLevel } from "../../src/telemetry/log.ts";
import { LogSampling } from "../../src/telemetry/log-sampling.ts";
import type { Metrics } from "../../src/telemetry/metrics.ts";
import { metricsOfNode } from "../support/metrics.ts";

function logger(level: LogLevel = "info") {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  return { lines, log: createLogger(level, "node-1", stream) };
}

describe("log lines", () => {
  test("are JSON with the node, the level's name and an ISO time", () => {
    const { lines, log } = logger();
    log.info({ room: "chat:1", code: "forbidden" }, "refused");
    expect(JSON.parse(lines[0] ?? "")).toEqual({
      level: "info",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      node: "node-1",
      room: "chat:1",
      code: "forbidden",
      msg: "refused",
    });
  });

  test("[G7] never hold what opens doors", () => {
    const { lines, log } = logger();
    const secrets = { authorization: "s3cret", cookie: "s3cret", "set-cookie": "s3cret", "x-api-key": "s3cret" };
    log.info({ token: "s3cret", auth: { token: "s3cret" }, secret: "s3cret", apiKey: "s3cret", password: "s3cret" });
    log.info({ headers: secrets, handshake: { auth: { token: "s3cret" }, headers: secrets } });
    log.child({ token: "s3cret" }).info("hello");
    const refused = Object.assign(new Error("ERR"), { command: { name: "evalsha", args: ["s3cret"] } });
    log.error({ err: refused }, "Redis refused");
    log.error({ err: new Error("outer", { cause: refused }) }, "and as a cause");
    expect(lines).toHaveLength(5);
    expect(lines.join("")).not.toContain("s3cret");
    expect(lines[3]).toContain('"message":"ERR"');
  });

  test("keep to the level", () => {
    const { lines, log } = logger("warn");
    log.info("quiet");
    log.warn("loud");
    expect(lines).toHaveLength(1);
    logger("silent").log.fatal("nothing");
  });
});

describe("the sampling of log lines", () => {
  test("lets 20 of one text through in 10 s, others untouched, and says how many it held back", () => {
    let now = 0;
    const sampling = new LogSampling(() => now);
    expect(Array.from({ length: 50 }, () => sampling.take("a")).filter((held) => held === 0)).toHaveLength(20);
    expect(sampling.take("b")).toBe(0);
    now = 9_999;
    expect(sampling.take("a")).toBeUndefined();
    now = 10_000;
    expect(sampling.take("a")).toBe(31);
    expect(sampling.take("a")).toBe(0);
  });

  test("[G9] what a client can bring about a thousand times is 20 lines, and all of it where debug was asked for", () => {
    const { lines, log } = logger("debug");
    for (let n = 0; n < 1_000; n++) log.error({ connection: `c${n}` }, "a request failed");
    expect(lines).toHaveLength(20);
    for (let n = 0; n < 100; n++) log.debug("connected");
    expect(lines).toHaveLength(120);
  });
});

describe("metrics", () => {
  const scrape = async (metrics: Metrics) => (await metrics.registry.metrics()).split("\n");

  test("count what callers say", async () => {
    const gauges = { connections: () => 3, transports: () => ["websocket", "polling", "websocket"], feeds: () => 2 };
    const metrics = metricsOfNode("node-1", gauges);
    metrics.messageAccepted(100, 0.004, false);
    metrics.messageAccepted(50, 3, true);
    metrics.signalAccepted();
    metrics.written(3, 100, 600, Date.now() - 7);
    metrics.caughtUp(200);
    metrics.gapFound();
    metrics.gapRepaired();
    metrics.slowReader();
    metrics.resync("epoch");
    metrics.resync("epoch");
    metrics.resync("behind");
    metrics.recovery("recovered");
    metrics.requestServed("joinRoom", 0.02);
    metrics.requestServed("getHistory", 0.2);
    metrics.requestServed("leaveRoom", 0.2);
    metrics.requestRefused("joinRoom", "forbidden");
    metrics.requestRefused("joinRoom", "forbidden");
    metrics.requestRefused("sendMessage", "rate_limited");
    metrics.rateLimited("frames");
    metrics.connected("polling");
    metrics.disconnected("transport close");
    metrics.disconnected("something new");
    metrics.connectionRefused("token_expired");
    metrics.reconnected("reads");
    const expected = [
      'roomcast_node_info{node="node-1"} 1',
      "roomcast_connections 3",
      'roomcast_transport_connections{transport="websocket"} 2',
      'roomcast_transport_connections{transport="polling"} 1',
      'roomcast_connects_total{transport="polling"} 1',
      'roomcast_disconnects_total{reason="transport_close"} 1',
      'roomcast_disconnects_total{reason="other"} 1',
      "roomcast_feeds 2",
      "roomcast_messages_accepted_total 2",
      "roomcast_messages_duplicate_total 1",
      "roomcast_accepted_bytes_total 150",
      "roomcast_messages_delivered_total 301",
      "roomcast_delivered_bytes_total 60200",
      'roomcast_messages_per_write_bucket{le="2"} 0',
      'roomcast_messages_per_write_bucket{le="4"} 100',
      "roomcast_messages_per_write_sum 300",
      'roomcast_delivery_delay_seconds_bucket{le="0.005"} 0',
      "roomcast_delivery_delay_seconds_count 300",
      "roomcast_signals_accepted_total 1",
      "roomcast_gaps_found_total 1",
      "roomcast_gaps_repaired_total 1",
      "roomcast_slow_readers_total 1",
      'roomcast_resyncs_total{reason="epoch"} 2',
      'roomcast_resyncs_total{reason="behind"} 1',
      'roomcast_recoveries_total{outcome="recovered"} 1',
      'roomcast_requests_total{request="leaveRoom"} 1',
      "roomcast_join_duration_seconds_count 1",
      'roomcast_history_duration_seconds_bucket{le="0.25"} 1',
      'roomcast_requests_refused_total{request="joinRoom",code="forbidden"} 2',
      'roomcast_requests_refused_total{request="sendMessage",code="rate_limited"} 1',
      'roomcast_rate_limited_total{limit="requests"} 1',
      'roomcast_rate_limited_total{limit="frames"} 1',
      'roomcast_connections_refused_total{code="token_expired"} 1',
      'roomcast_redis_reconnects_total{role="reads"} 1',
      'roomcast_append_duration_seconds_bucket{le="0.005"} 1',
      'roomcast_append_duration_seconds_bucket{le="+Inf"} 2',
      "roomcast_append_duration_seconds_sum 3.004",
    ];
    expect(await scrape(metrics)).toEqual(expect.arrayContaining(expected));
    expect(await scrape(metrics), "a second scrape counts nothing twice").toEqual(expect.arrayContaining(expected));
  });

  test("that have labels with known values are there at 0 before the first event, with every one", async () => {
    const lines = await scrape(metricsOfNode());
    for (const code of Object.keys(ERRORS)) {
      expect(lines).toContain(`roomcast_connections_refused_total{code="${code}"} 0`);
      for (const request of Object.keys(REQUESTS)) {
        expect(lines).toContain(`roomcast_requests_refused_total{request="${request}",code="${code}"} 0`);
      }
    }
    for (const [name, { kind, labels = {} }] of Object.entries<MetricRow>(METRICS)) {
      const [only, ...others] = Object.entries(labels);
      if (kind !== "counter" || only === undefined || others.length > 0 || only[1] === "open") continue;
      for (const value of only[1]) expect(lines).toContain(`${name}{${only[0]}="${value}"} 0`);
    }
  });

  test("are described, in base units, by names of one form", () => {
    for (const [name, { kind, help, buckets }] of Object.entries<MetricRow>(METRICS)) {
      expect(name).toMatch(/^roomcast_[a-z_]+$/);
      expect(name.endsWith("_total"), name).toBe(kind === "counter");
      expect(name).not.toMatch(/_(ms|milliseconds|kb|percent)(_|$)/);
      expect(help).toMatch(/^\S.{8,}[^.]$/);
      expect(buckets !== undefined, name).toBe(kind === "histogram");
    }
  });

  test("of two nodes in one process are apart", async () => {
    metricsOfNode("a").caughtUp(1);
    expect(await scrape(metricsOfNode("b"))).toContain("roomcast_messages_delivered_total 0");
  });
});
