import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import type { Ack } from "../../src/protocol.ts";
import { connectClient, stockClient, TRANSPORTS } from "../support/client.ts";
import { composeUp, describeWithDocker, devToken } from "../support/compose.ts";
import { metricsOf, readDashboards } from "../support/dashboard.ts";
import { eventually } from "../support/eventually.ts";
import { Member } from "../support/member.ts";
import { prometheus, type Series } from "../support/prometheus.ts";
import { stopsWithTest } from "../support/teardown.ts";

const UP_MS = 300_000;
const NODES = 2;
/** Grafana's: four times what deploy/prometheus/prometheus.yml scrapes by. */
const RATE_INTERVAL = "20s";
const ROOM = "chat:dashboard";
const TALKERS = 4;
/** More than `METRICS_TOP_ROOMS`, so that there are rooms without series of their own. */
const SMALL_ROOMS = 60;
const PAUSE_MS = 100;

/**
 * People who talk and type in one room by every transport, and one who writes into many small ones, until the test ends.
 * Resolves with how many connections these are.
 */
async function use(url: string): Promise<number> {
  const kinds = Object.values(TRANSPORTS);
  const members: Member[] = [];
  for (let who = 0; who < TALKERS; who++) {
    const transports = kinds[who % kinds.length] ?? [];
    const { socket } = await connectClient(url, await devToken(url, `u${who}`), { transports });
    members.push(new Member(socket, ROOM));
  }
  const { socket: roamer } = await connectClient(url, await devToken(url, "roamer"));
  for (let index = 0; index < SMALL_ROOMS; index++) {
    const ack: Ack<"joinRoom"> = await roamer.emitWithAck("joinRoom", { room: `small:${index}` });
    expect(ack.ok).toBe(true);
  }
  let going = true;
  const work = async () => {
    for (let turn = 0; going; turn++) {
      const member = members[turn % TALKERS];
      await member?.send(`m${turn}`);
      await member?.socket.emitWithAck("sendSignal", { room: ROOM, event: "typing" });
      await roamer.emitWithAck("sendMessage", { room: `small:${turn % SMALL_ROOMS}`, data: turn });
      await delay(PAUSE_MS);
    }
  };
  const done = work();
  stopsWithTest(async () => {
    going = false;
    await done;
  });
  return TALKERS + 1;
}

/** One request and one handshake that are refused. */
async function misuse(url: string): Promise<void> {
  const { socket } = await connectClient(url, await devToken(url, "stranger"));
  const ack: Ack<"sendMessage"> = await socket.emitWithAck("sendMessage", { room: ROOM, data: "let me in" });
  expect(ack).toMatchObject({ ok: false, error: { code: "not_in_room" } });
  socket.disconnect();
  const refused = Promise.withResolvers<{ data?: unknown }>();
  const forger = stockClient(url, "no token", { reconnection: false });
  forger.once("connect_error", refused.resolve);
  forger.connect();
  expect((await refused.promise).data).toMatchObject({ code: "unauthorized" });
}

const hasData = (series: readonly Series[]) => series.some(({ values }) => values.some(Number.isFinite));
const latest = (series: Series | undefined) => series?.values.at(-1) ?? Number.NaN;

describeWithDocker("the dashboards on a real Prometheus", () => {
  it("has data in every query of every panel while nodes are used, and the figures that their clients know", {
    timeout: UP_MS,
  }, async () => {
    const { url, prometheusUrl } = await composeUp(NODES, { services: ["haproxy", "prometheus"] });
    const { range, labelValues } = prometheus(prometheusUrl);
    const { queries, annotations, choices } = readDashboards(RATE_INTERVAL);
    const panel = (title: string, at = 0) =>
      range(queries.filter((query) => query.panel === title)[at]?.expr ?? `no panel ${title}`);
    await eventually(
      async () => {
        expect(await labelValues("node", "roomcast_node_info")).toHaveLength(NODES);
      },
      { withinMs: 60_000 },
    );
    const connections = await use(url);
    await misuse(url);

    await eventually(
      async () => {
        const exported = await labelValues("__name__", '{job="roomcast"}');
        for (const { panel: title, expr } of queries) {
          for (const metric of metricsOf(expr)) expect(exported, `${title}: ${metric}`).toContain(metric);
        }
        const empty: string[] = [];
        for (const { panel: title, expr } of queries) if (!hasData(await range(expr))) empty.push(`${title}: ${expr}`);
        expect(empty).toEqual([]);
        const starts = annotations.find(({ panel: name }) => name === "Node starts");
        expect(await range(starts?.expr ?? "")).toHaveLength(NODES);
        for (const { metric, label } of choices) expect(await labelValues(label, metric)).not.toEqual([]);
      },
      { withinMs: 90_000 },
    );

    await eventually(
      async () => {
        expect(latest((await panel("Nodes up"))[0])).toBe(NODES);
        expect(latest((await panel("Connections"))[0])).toBe(connections);
        const rooms = await panel("Connections per room");
        expect(latest(rooms.find(({ labels }) => labels.room === ROOM))).toBe(TALKERS);
        const others = await panel("Connections per room", 1);
        expect(others.map(({ labels }) => labels.room_type)).toEqual(["small"]);
        expect(latest(others[0])).toBeGreaterThan(0);
        for (const [title, code] of [
          ["Requests refused by code", "not_in_room"],
          ["Connections refused by code", "unauthorized"],
        ] as const) {
          const refused = (await panel(title)).find(({ labels }) => labels.code === code);
          expect(Math.max(...(refused?.values ?? [])), title).toBeGreaterThan(0);
        }
      },
      { withinMs: 30_000 },
    );
  });
});
