import { graph, type Panel } from "../panels.ts";
import { CHOSEN_TYPES, otherRooms, perSecond, sumBy, topRooms } from "../queries.ts";

/** Most rooms in one graph; a node has series of their own for `METRICS_TOP_ROOMS`. */
const MOST = 20;
const OTHERS = "all other rooms of {{room_type}}";

const connections = (matchers: string) => `roomcast_room_connections{${matchers}}`;
const emits = (matchers: string) => perSecond(`roomcast_room_emits_total{${matchers}}`);

/** Which room it is. */
export function rooms(): Panel[] {
  return [
    graph({
      title: "Connections per room",
      description: `The ${MOST} rooms with the most connections, and the sum of the rooms without series of their own.`,
      unit: "short",
      width: 12,
      queries: [
        { expr: topRooms(MOST, connections), legend: "{{room}}" },
        { expr: otherRooms(connections), legend: OTHERS },
      ],
    }),
    graph({
      title: "Emits per room",
      description: `The ${MOST} rooms with the most emits, and the sum of the rooms without series of their own.`,
      unit: "cps",
      width: 12,
      queries: [
        { expr: topRooms(MOST, emits), legend: "{{room}}" },
        { expr: otherRooms(emits), legend: OTHERS },
      ],
    }),
    graph({
      title: "Emits per room type",
      description: "Exact, over all rooms.",
      unit: "cps",
      width: 12,
      queries: [
        { expr: sumBy("room_type", perSecond(`roomcast_emits_total{${CHOSEN_TYPES}}`)), legend: "{{room_type}}" },
      ],
    }),
    graph({
      title: "Rooms by node",
      description: "Rooms that a node follows because somebody there is in them.",
      unit: "short",
      width: 12,
      queries: [{ expr: sumBy("node", "roomcast_feeds"), legend: "{{node}}" }],
    }),
  ];
}
