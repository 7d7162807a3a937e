import {
  AnnotationQueryBuilder,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  RowBuilder,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus";
import type { Panel } from "./panels.ts";
import { draining, starts } from "./queries.ts";
import { delivery } from "./rows/delivery.ts";
import { messages } from "./rows/messages.ts";
import { nodes } from "./rows/nodes.ts";
import { oneRoom } from "./rows/one-room.ts";
import { overview } from "./rows/overview.ts";
import { redis } from "./rows/redis.ts";
import { rooms } from "./rows/rooms.ts";
import { trouble } from "./rows/trouble.ts";
import { webhooks } from "./rows/webhooks.ts";
import { writes } from "./rows/writes.ts";
import { DATASOURCE, nodeAndType, roomChoice } from "./variables.ts";

/** What all of them have, so that each links to the others. */
const TAG = "roomcast";

interface Board {
  readonly title: string;
  readonly description: string;
  readonly rows: Readonly<Record<string, () => Panel[]>>;
  /** Whether one room can be chosen. */
  readonly ofRoom?: boolean;
}

/** The dashboards by their uid, in the order in which somebody on call asks: is something wrong, where, and why. */
const BOARDS: Readonly<Record<string, Board>> = {
  "roomcast-overview": {
    title: "Roomcast / Overview",
    description: "Whether messages reach people: rates, errors, durations, the delivery promise, and nodes.",
    rows: { Overview: overview, "Delivery promise": delivery, Trouble: trouble, Webhooks: webhooks },
  },
  "roomcast-rooms": {
    title: "Roomcast / Rooms",
    description: "Which rooms are large or busy, and one of them.",
    rows: { Rooms: rooms, "One room": oneRoom },
    ofRoom: true,
  },
  "roomcast-node": {
    title: "Roomcast / Node",
    description: "What a node spends its time and memory on, and who does not keep up.",
    rows: { Nodes: nodes, Writes: writes },
  },
  "roomcast-redis": {
    title: "Roomcast / Redis",
    description: "Whether nodes are connected to Redis, hear it and can write, and how long it takes.",
    rows: { Redis: redis, Messages: messages },
  },
};

function annotation(name: string, color: string, expr: string, title: string): AnnotationQueryBuilder {
  return new AnnotationQueryBuilder()
    .name(name)
    .datasource(DATASOURCE)
    .enable(true)
    .iconColor(color)
    .expr(expr)
    .titleFormat(title)
    .step("15s")
    .target(new DataqueryBuilder().refId("Anno").expr(expr).legendFormat(title).range());
}

/** One dashboard, in Grafana's v1 schema, which file provisioning reads. */
function dashboard(uid: string, { title, description, rows, ofRoom = false }: Board): Dashboard {
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .description(`${description} Made by grafana/dashboard.ts.`)
    .tags([TAG])
    .readonly()
    .timezone("browser")
    .tooltip(DashboardCursorSync.Crosshair)
    .refresh("10s")
    .time({ from: "now-1h", to: "now" })
    .link(
      new DashboardLinkBuilder("Roomcast")
        .type(DashboardLinkType.Dashboards)
        .tags([TAG])
        .includeVars(true)
        .keepTime(true),
    )
    .annotation(annotation("Node starts", "blue", starts(), "{{node}} started"))
    .annotation(annotation("Drains", "orange", draining(), "{{node}} drains"))
    .variables(ofRoom ? [...nodeAndType(), roomChoice()] : nodeAndType());
  let id = 0;
  for (const [row, panels] of Object.entries(rows)) {
    builder.withRow(new RowBuilder(row).id(++id));
    for (const panel of panels()) builder.withPanel(panel.id(++id));
  }
  return builder.build();
}

/** The texts of the files that Grafana reads, by the dashboards' uids. */
export function dashboardFiles(): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(BOARDS).map(([uid, board]) => [uid, `${JSON.stringify(dashboard(uid, board), null, 2)}\n`]),
  );
}
