/**
 * PromQL of the dashboard's panels. A scrape's series are joined with its `roomcast_node_info`: that names the node as
 * `welcome` and the log do, obeys the choice made above the dashboard, and leaves out processes that are no nodes.
 */

/** The label under which `/metrics` sums up the rooms, and the types, without series of their own. */
const OTHER = "_other";
const OF_CHOSEN_NODES = 'on (job, instance) group_left (node) roomcast_node_info{node=~"$node"}';
/** The types chosen above the dashboard, as a label's matcher. */
export const CHOSEN_TYPES = 'room_type=~"$room_type"';

/** The series of the chosen nodes, with the label `node`. */
export function ofNodes(vector: string): string {
  return `(${vector} * ${OF_CHOSEN_NODES})`;
}

/** One figure for all chosen nodes. */
export function total(vector: string): string {
  return `sum ${ofNodes(vector)}`;
}

/** The sums over the chosen nodes, one for each combination of these labels. */
export function sumBy(labels: string, vector: string): string {
  return `sum by (${labels}) ${ofNodes(vector)}`;
}

/** A counter's growth per second. */
export function perSecond(counter: string): string {
  return `rate(${counter}[$__rate_interval])`;
}

/** A counter's growth in the time that a point of the graph looks back, for what should not happen at all. */
export function growth(counter: string): string {
  return `increase(${counter}[$__rate_interval])`;
}

/** The `quantile` (0 to 1) of a histogram over all chosen nodes. */
export function quantile(at: number, histogram: string): string {
  return `histogram_quantile(${at}, ${sumBy("le", perSecond(`${histogram}_bucket`))})`;
}

/** The same, one for each combination of these labels. */
export function quantileBy(labels: string, at: number, histogram: string): string {
  return `histogram_quantile(${at}, ${sumBy(`${labels}, le`, perSecond(`${histogram}_bucket`))})`;
}

/** The busiest rooms of the chosen types; `value` makes a vector of a selector's matchers. */
export function topRooms(most: number, value: (matchers: string) => string): string {
  return `topk(${most}, ${sumBy("room_type, room", value(`${CHOSEN_TYPES}, room!="${OTHER}"`))})`;
}

/** All rooms of a type that have no series of their own. */
export function otherRooms(value: (matchers: string) => string): string {
  return sumBy("room_type", value(`${CHOSEN_TYPES}, room="${OTHER}"`));
}

/** The largest logs of the chosen types: each node that follows a room tells the same size. */
export function largestLogs(metric: string): string {
  return `topk(20, max by (room_type, room) ${ofNodes(`${metric}{${CHOSEN_TYPES}}`)})`;
}

/** The chosen rooms' series, one for each node. */
export function chosenRooms(value: (matchers: string) => string): string {
  return sumBy("room, node", value(`${CHOSEN_TYPES}, room=~"$room"`));
}

/** The share of canary messages that were delivered in time, by these labels of the sender (`from`) and the receiver (`node`). */
export function deliveredShare(labels: string): string {
  const sum = (counter: string) => `sum by (${labels}) ${ofNodes(growth(counter))}`;
  return `${sum("roomcast_canary_delivered_total")} / ${sum("roomcast_canary_expected_total")}`;
}

/** There for a minute after a chosen node's start. */
export function starts(): string {
  return ofNodes("(time() - process_start_time_seconds < 60)");
}

/** There while a chosen node hands its connections over. */
export function draining(): string {
  return ofNodes("(roomcast_node_draining == 1)");
}
