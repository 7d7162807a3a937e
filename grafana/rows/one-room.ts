import { graph, type Panel } from "../panels.ts";
import { chosenRooms, perSecond } from "../queries.ts";

/** The rooms that are chosen above the dashboard, by node. */
export function oneRoom(): Panel[] {
  return [
    graph({
      title: "Connections of the room",
      description: "By node. Only rooms among the largest or busiest have a line: others are in /v1.",
      unit: "short",
      width: 12,
      queries: [
        {
          expr: chosenRooms((matchers) => `roomcast_room_connections{${matchers}}`),
          legend: "{{room}} on {{node}}",
        },
      ],
    }),
    graph({
      title: "Emits of the room",
      description: "Messages and signals passed on to the room's members, by node.",
      unit: "cps",
      width: 12,
      queries: [
        {
          expr: chosenRooms((matchers) => perSecond(`roomcast_room_emits_total{${matchers}}`)),
          legend: "{{room}} on {{node}}",
        },
      ],
    }),
  ];
}
