import { Counter, Gauge, type Registry } from "prom-client";
import { roomType } from "../protocol.ts";

/** How much busier than a room that has a series another one must be to take its place: series shall not flicker. */
const STAY_FACTOR = 2;
/** Most room types with a series of their own; clients choose the names of rooms, and so of types. */
const MOST_TYPES = 50;
/** The label of everything that has no series of its own. No room can have this name. */
const OTHER = "_other";

/** One room on this node. `emits` only grows. */
export interface RoomSample {
  readonly room: string;
  readonly connections: number;
  /** Messages and signals that were passed on to the members on this node. */
  readonly emits: number;
}

interface Counted {
  readonly sample: RoomSample;
  readonly type: string;
  /** Emits since the last scrape. */
  readonly fresh: number;
}

/**
 * Connections and emits per room, for the rooms that matter now: half of the series for those with the most connections,
 * half for those with the most emits since the last scrape; the others are summed up under `_other`.
 *
 * Nothing is done per emit: rooms count by themselves, and are looked through when somebody scrapes. An emit is counted
 * once, where its room stands at the scrape, and stays there: so no counter ever runs backwards, `rate()` and `increase()`
 * add up to the exact total, and a room that comes back begins at 0, which Prometheus takes for the reset that it is.
 */
export class RoomMetrics {
  readonly #top: number;
  readonly #rooms: () => Iterable<RoomSample>;
  readonly #seen = new WeakMap<RoomSample, number>();
  readonly #types = new Set<string>();
  readonly #totals = new Map<string, number>();
  readonly #others = new Map<string, number>();
  #series = new Map<string, { type: string; emits: number }>();

  /** `top`: most rooms with series of their own. */
  constructor(registry: Registry, top: number, rooms: () => Iterable<RoomSample>) {
    this.#top = top;
    this.#rooms = rooms;
    const labelNames = ["room_type", "room"];
    const registers = [registry];
    // The first of the three to be asked at a scrape, so it fills all of them.
    const connections: Gauge = new Gauge({
      name: "roomcast_room_connections",
      help: "Connections of this node in a room, for the rooms that matter now and all others",
      labelNames,
      registers,
      collect: () => this.#collect(connections, emits, totals),
    });
    const emits = new Counter({
      name: "roomcast_room_emits_total",
      help: "Messages and signals passed on to the members on this node, for the rooms that matter now and all others",
      labelNames,
      registers,
    });
    const totals = new Counter({
      name: "roomcast_emits_total",
      help: "Messages and signals passed on to the members on this node",
      labelNames: ["room_type"],
      registers,
    });
  }

  /** A room is closed on this node: what it counted since the last scrape is not lost. */
  retire(sample: RoomSample): void {
    const type = this.#typeOf(sample.room);
    const fresh = sample.emits - (this.#seen.get(sample) ?? 0);
    this.#seen.set(sample, sample.emits);
    add(this.#totals, type, fresh);
    const series = this.#series.get(sample.room);
    if (series === undefined) add(this.#others, type, fresh);
    else series.emits += fresh;
  }

  #collect(connections: Gauge, emits: Counter, totals: Counter): void {
    const counted = [...this.#rooms()].map((sample) => this.#count(sample));
    this.#choose(counted);
    const others = new Map<string, number>();
    connections.reset();
    for (const { sample, type, fresh } of counted) {
      const series = this.#series.get(sample.room);
      add(this.#totals, type, fresh);
      if (series === undefined) {
        add(this.#others, type, fresh);
        add(others, type, sample.connections);
      } else {
        series.emits += fresh;
        connections.set({ room_type: type, room: sample.room }, sample.connections);
      }
    }
    for (const [type, sum] of others) connections.set({ room_type: type, room: OTHER }, sum);
    emits.reset();
    for (const [room, { type, emits: count }] of this.#series) emits.inc({ room_type: type, room }, count);
    for (const [type, count] of this.#others) emits.inc({ room_type: type, room: OTHER }, count);
    totals.reset();
    for (const [type, count] of this.#totals) totals.inc({ room_type: type }, count);
  }

  #count(sample: RoomSample): Counted {
    const fresh = sample.emits - (this.#seen.get(sample) ?? 0);
    this.#seen.set(sample, sample.emits);
    return { sample, type: this.#typeOf(sample.room), fresh };
  }

  #choose(counted: readonly Counted[]): void {
    const half = Math.ceil(this.#top / 2);
    const chosen = new Map<string, { type: string; emits: number }>();
    for (const measure of [(one: Counted) => one.sample.connections, (one: Counted) => one.fresh]) {
      const score = (one: Counted) => measure(one) * (this.#series.has(one.sample.room) ? STAY_FACTOR : 1);
      const best = highest(
        counted.filter((one) => measure(one) > 0),
        score,
        half,
      );
      for (const { sample, type } of best) {
        if (chosen.size < this.#top) chosen.set(sample.room, this.#series.get(sample.room) ?? { type, emits: 0 });
      }
    }
    this.#series = chosen;
  }

  #typeOf(room: string): string {
    const type = roomType(room);
    if (this.#types.has(type)) return type;
    if (this.#types.size >= MOST_TYPES) return OTHER;
    this.#types.add(type);
    return type;
  }
}

/** The `most` items with the highest scores, the highest first; in one pass, however many there are. */
function highest<Item>(items: readonly Item[], score: (item: Item) => number, most: number): Item[] {
  const best: { item: Item; score: number }[] = [];
  for (const item of items) {
    const own = score(item);
    if (best.length >= most && own <= (best.at(-1)?.score ?? 0)) continue;
    const place = best.findIndex((other) => other.score < own);
    best.splice(place === -1 ? best.length : place, 0, { item, score: own });
    if (best.length > most) best.pop();
  }
  return best.map(({ item }) => item);
}

function add(sums: Map<string, number>, key: string, count: number): void {
  sums.set(key, (sums.get(key) ?? 0) + count);
}
