import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  RowBuilder,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { messages } from "./rows/messages.ts";
import { nodes } from "./rows/nodes.ts";
import { overview } from "./rows/overview.ts";
import { rooms } from "./rows/rooms.ts";
import { trouble } from "./rows/trouble.ts";
import { variables } from "./variables.ts";

/** The rows, in the order in which somebody on call asks: is something wrong, where, what, and on which node. */
const ROWS = {
  Overview: overview,
  Rooms: rooms,
  Trouble: trouble,
  Messages: messages,
  Nodes: nodes,
};

/** The one dashboard, in Grafana's v1 schema, which file provisioning reads. */
export function dashboard(): Dashboard {
  const builder = new DashboardBuilder("Roomcast")
    .uid("roomcast")
    .description("Rooms, messages and nodes of one Roomcast deployment. Made by grafana/dashboard.ts.")
    .tags(["roomcast"])
    .readonly()
    .timezone("browser")
    .tooltip(DashboardCursorSync.Crosshair)
    .refresh("10s")
    .time({ from: "now-1h", to: "now" })
    .variables(variables());
  let id = 0;
  for (const [title, panels] of Object.entries(ROWS)) {
    builder.withRow(new RowBuilder(title).id(++id));
    for (const panel of panels()) builder.withPanel(panel.id(++id));
  }
  return builder.build();
}

/** The text of the file that Grafana reads. */
export function dashboardJson(): string {
  return `${JSON.stringify(dashboard(), null, 2)}\n`;
}
