import { Writable } from "node:stream";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../src/errors.ts";
import { REQUESTS } from "../../src/protocol.ts";
import { createLogger, type LogLevel } from "../../src/telemetry/log.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";

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

describe("metrics", () => {
  const scrape = async (metrics: Metrics) => (await metrics.registry.metrics()).split("\n");

  test("count what callers say", async () => {
    const metrics = new Metrics("node-1", { connections: () => 5, feeds: () => 2, owed: () => 0, rooms: () => [] }, 50);
    metrics.messageAccepted("chat:1", 0.004);
    metrics.messageAccepted("chat:1", 3);
    metrics.signalAccepted("chat:1");
    metrics.delivered(300);
    metrics.delivered(1);
    metrics.gapRepaired();
    metrics.slowReader();
    metrics.resync("epoch");
    metrics.resync("epoch");
    metrics.resync("behind");
    metrics.requestRefused("joinRoom", "forbidden");
    metrics.requestRefused("joinRoom", "forbidden");
    metrics.requestRefused("sendMessage", "rate_limited");
    metrics.connectionRefused("token_expired");
    const expected = [
      'roomcast_node_info{node="node-1"} 1',
      "roomcast_connections 5",
      "roomcast_feeds 2",
      "roomcast_messages_accepted_total 2",
      "roomcast_messages_delivered_total 301",
      "roomcast_signals_accepted_total 1",
      "roomcast_gaps_repaired_total 1",
      "roomcast_slow_readers_total 1",
      'roomcast_resyncs_total{reason="epoch"} 2',
      'roomcast_resyncs_total{reason="behind"} 1',
      'roomcast_requests_refused_total{request="joinRoom",code="forbidden"} 2',
      'roomcast_requests_refused_total{request="sendMessage",code="rate_limited"} 1',
      'roomcast_connections_refused_total{code="token_expired"} 1',
      'roomcast_append_duration_seconds_bucket{le="0.005"} 1',
      "roomcast_append_duration_seconds_count 2",
    ];
    expect(await scrape(metrics)).toEqual(expect.arrayContaining(expected));
    expect(await scrape(metrics), "a second scrape counts nothing twice").toEqual(expect.arrayContaining(expected));
  });

  test("of refusals and resyncs are there at 0 before the first one, with every label", async () => {
    const lines = await scrape(
      new Metrics("a", { connections: () => 0, feeds: () => 0, owed: () => 0, rooms: () => [] }, 50),
    );
    for (const code of Object.keys(ERRORS)) {
      expect(lines).toContain(`roomcast_connections_refused_total{code="${code}"} 0`);
      for (const request of Object.keys(REQUESTS)) {
        expect(lines).toContain(`roomcast_requests_refused_total{request="${request}",code="${code}"} 0`);
      }
    }
    for (const reason of ["epoch", "behind", "log_unavailable"]) {
      expect(lines).toContain(`roomcast_resyncs_total{reason="${reason}"} 0`);
    }
  });

  test("of two nodes in one process are apart", async () => {
    const gauges = { connections: () => 0, feeds: () => 0, owed: () => 0, rooms: () => [] };
    const first = new Metrics("a", gauges, 50);
    first.delivered(1);
    expect(await scrape(new Metrics("b", gauges, 50))).toContain("roomcast_messages_delivered_total 0");
  });
});
