import { expect, it } from "vitest";
import { WEBHOOK_EVENTS } from "../../src/webhooks/events.ts";
import { alerts } from "../support/alerts.ts";
import { startCluster } from "../support/cluster.ts";
import { composeUp, describeWithDocker } from "../support/compose.ts";
import { metricsOf, readDashboards } from "../support/dashboard.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/private-redis.ts";
import { prometheus, type Series } from "../support/prometheus.ts";
import { startPrometheus } from "../support/prometheus-process.ts";
import { describeWithPrometheus } from "../support/promtool.ts";
import { signToken } from "../support/token.ts";
import { misuse, ROOM, TALKERS, use } from "../support/traffic.ts";
import { startReceiver, webhooksFile } from "../support/webhook-receiver.ts";

const UP_MS = 300_000;
const NODES = 3;
/** Grafana's: at least four times what Prometheus scrapes by. */
const RATE_INTERVAL = "20s";

const hasData = (series: readonly Series[]) => series.some(({ values }) => values.some(Number.isFinite));
const latest = (series: Series | undefined) => series?.values.at(-1) ?? Number.NaN;
/** An alert's expression that says 0 or 1 for every series, in place of leaving out those that are well. */
const asked = (expr: string) => expr.replaceAll(/ (==|<|>) (?=[\d.])/g, " $1 bool ");

describeWithPrometheus("dashboards and alerts on a real Prometheus", (programs) => {
  it("have data in every query while nodes are used, the figures that their clients know, and alerts for what is wrong", {
    timeout: UP_MS,
  }, async () => {
    const redis = await startRedis({ settings: ["--maxmemory", "1gb"] });
    const receiver = await startReceiver();
    const webhooks = await webhooksFile({
      all: { url: receiver.url, secrets: [receiver.secret], events: WEBHOOK_EVENTS },
    });
    const cluster = await startCluster({
      nodes: NODES,
      env: { CANARY_INTERVAL_MS: "200", REDIS_URL: redis.url, WEBHOOKS: webhooks },
    });
    const { range, labelValues } = prometheus(await startPrometheus(programs, cluster.adminUrls));
    const { queries, annotations, choices } = readDashboards(RATE_INTERVAL);
    // Those on absence have data where something is absent only.
    const ofSeries = alerts().filter(({ expr }) => !expr.startsWith("absent("));
    expect(alerts().length - ofSeries.length).toBe(2);
    const panel = (title: string, at = 0) =>
      range(queries.filter((query) => query.panel === title)[at]?.expr ?? `no panel ${title}`);
    const token = (sub: string) => signToken({ sub });
    const traffic = await use(cluster.urls, token);

    await eventually(
      async () => {
        const exported = await labelValues("__name__", '{job="roomcast"}');
        for (const { panel: title, expr } of [...queries, ...annotations]) {
          for (const metric of metricsOf(expr)) expect(exported, `${title}: ${metric}`).toContain(metric);
        }
        const empty: string[] = [];
        for (const { panel: title, expr } of queries) if (!hasData(await range(expr))) empty.push(`${title}: ${expr}`);
        for (const { alert, expr } of ofSeries) if (!hasData(await range(asked(expr)))) empty.push(`${alert}: ${expr}`);
        expect(empty).toEqual([]);
        const starts = annotations.find(({ panel: name }) => name === "Node starts");
        expect(await range(starts?.expr ?? "")).toHaveLength(NODES);
        for (const { metric, label } of choices) expect(await labelValues(label, metric)).not.toEqual([]);
      },
      { withinMs: 90_000 },
    );

    // Nobody is woken while all is well. Of a few seconds the p99 of the event loop is their slowest moment: half of them then.
    await eventually(
      async () => {
        const raised: string[] = [];
        for (const { alert, expr } of alerts()) {
          const series = await range(expr.replace("histogram_quantile(0.99,", "histogram_quantile(0.5,"));
          if (series.length > 0) raised.push(alert);
        }
        expect(raised).toEqual([]);
      },
      { withinMs: 90_000 },
    );

    await eventually(
      async () => {
        // Each time: its growth is on the graphs for as long only as they look back.
        await misuse(cluster.urls[0] ?? "", token);
        expect(latest((await panel("Nodes up"))[0])).toBe(NODES);
        expect(latest((await panel("Nodes ready"))[0])).toBe(NODES);
        expect(latest((await panel("Connections"))[0])).toBe(traffic.connections);
        expect(latest((await panel("Canary messages delivered"))[0])).toBe(1);
        expect(await panel("Delivered by pair")).toHaveLength(NODES * NODES);
        const rooms = await panel("Connections per room");
        expect(latest(rooms.find(({ labels }) => labels.room === ROOM))).toBe(TALKERS);
        const others = await panel("Connections per room", 1);
        expect(latest(others.find(({ labels }) => labels.room_type === "small"))).toBeGreaterThan(0);
        for (const [title, code] of [
          ["Requests refused by code", "not_in_room"],
          ["Connections refused by code", "unauthorized"],
        ] as const) {
          const refused = (await panel(title)).find(({ labels }) => labels.code === code);
          expect(Math.max(...(refused?.values ?? [])), title).toBeGreaterThan(0);
        }
      },
      { withinMs: 60_000 },
    );

    await traffic.stop();
    await cluster.kill(2);
    const down = alerts().find(({ alert }) => alert === "RoomcastNodeDown")?.expr ?? "";
    await eventually(async () => expect(await range(down)).toHaveLength(1), { withinMs: 30_000 });
  });
});

describeWithDocker("compose's Prometheus", () => {
  it("finds every node, and has the alert rules", { timeout: UP_MS }, async () => {
    const { prometheusUrl } = await composeUp(2, { services: ["haproxy", "prometheus"] });
    const { labelValues, ruleNames } = prometheus(prometheusUrl);
    await eventually(async () => expect(await labelValues("node", "roomcast_node_info")).toHaveLength(2), {
      withinMs: 60_000,
    });
    expect(await ruleNames()).toEqual(alerts().map(({ alert }) => alert));
  });
});
