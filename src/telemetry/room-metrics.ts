import { roomType } from "../protocol.ts";
import { BusyRooms } from "./busy-rooms.ts";
import type { Put } from "./exposition.ts";
import { type RoomsCounted, RoomTally, TypeTally } from "./room-tally.ts";
import { RoomsBySize } from "./rooms-by-size.ts";

/** How much busier than a room that has a series another one must be to take its place: series shall not flicker. */
const STAY_FACTOR = 2;
/** With so many room types, only configured ones get a series of their own: clients choose the names of rooms, and so of types. */
const MOST_TYPES = 50;
/** The label of everything that has no series of its own. No room can have this name. */
const OTHER = "_other";

/** One room's series: what it was credited with since it came to be, and the room's emits up to which that was done. */
interface Series {
  emits: number;
  upTo: number;
}

/** What all series of one type sum up to at a scrape. */
interface Chosen {
  /** Of the rooms with series of their own. */
  connections: number;
  /** Emits that are held back until the next scrape. */
  held: number;
  /** The type is new: its counters are at 0. */
  isNew: boolean;
}

/**
 * Connections and emits per room, for the rooms that matter now: half of the series for those with the most connections,
 * half for those with the most emits since the last scrape; the others are summed up under `_other`. A scrape looks at as
 * many rooms as may be chosen, however many there are: the sums are kept by type, and `_other` is what is left of them.
 *
 * An emit is counted once: for its room where that has a series at the scrape, for `_other` where it has none. Prometheus
 * sees no growth in a series' first value, so every counter begins at 0: what a room emitted before it came into the choice,
 * since the last scrape, is held back until the next one, and so is what is counted for a new type. Thus `increase()` over
 * all series adds up to the exact total, no counter runs backwards while its series lasts, and one that comes back begins
 * at 0 again: a reset, as after a restart.
 */
export class RoomMetrics {
  readonly #top: number;
  readonly #isConfigured: (type: string) => boolean;
  readonly #sizes = new RoomsBySize();
  readonly #traffic: BusyRooms;
  readonly #counted: RoomsCounted;
  readonly #types = new Map<string, TypeTally>();
  #series = new Map<RoomTally, Series>();
  readonly #chosen = new Map<TypeTally, Chosen>();

  /** `top`: most rooms with series of their own. Configured types have a series whatever clients call their rooms. */
  constructor(top: number, isConfigured: (type: string) => boolean) {
    this.#top = top;
    this.#isConfigured = isConfigured;
    this.#traffic = new BusyRooms(2 * top);
    this.#counted = {
      sizes: this.#sizes,
      traffic: this.#traffic,
      closed: (tally) => this.#series.delete(tally),
    };
  }

  /** Rooms with connections. */
  get rooms(): number {
    return this.#sizes.size;
  }

  /** Connections in rooms, each once for every room. */
  get members(): number {
    let sum = 0;
    for (const { connections } of this.#types.values()) sum += connections;
    return sum;
  }

  /** A room is followed on this node from now on. */
  opened(room: string): RoomTally {
    return new RoomTally(room, this.#typeOf(room), this.#counted);
  }

  /** The rooms that have series of their own, as of the last scrape. */
  *chosen(): Iterable<{ readonly room: string; readonly room_type: string }> {
    for (const { room, type } of this.#series.keys()) yield { room, room_type: type.name };
  }

  /** Chooses anew, and puts the connections per room. The other two are of the same choice. */
  collectConnections(put: Put): void {
    this.#choose();
    for (const tally of this.#series.keys()) put(labelsOf(tally), tally.connections);
    for (const [{ name, connections }, chosen] of this.#chosen) {
      put({ room_type: name, room: OTHER }, connections - chosen.connections);
    }
  }

  collectEmits(put: Put): void {
    for (const [tally, { emits }] of this.#series) put(labelsOf(tally), emits);
    for (const [{ name, emits, credited }, { held, isNew }] of this.#chosen) {
      put({ room_type: name, room: OTHER }, isNew ? 0 : emits - credited - held);
    }
  }

  collectTotals(put: Put): void {
    for (const [{ name, emits }, { isNew }] of this.#chosen) put({ room_type: name }, isNew ? 0 : emits);
  }

  /** What the logs of the chosen rooms hold. The others have no sum: what a log holds is known of rooms with members here. */
  collectLogs(value: "messages" | "bytes", put: Put): void {
    for (const tally of this.#series.keys()) if (tally.log !== undefined) put(labelsOf(tally), tally.log[value]);
  }

  #choose(): void {
    const half = Math.ceil(this.#top / 2);
    const holders = [...this.#series.keys()];
    const largest = this.#best(half, [...holders, ...this.#sizes.largest(2 * this.#top)], (tally) => tally.connections);
    const fresh = (tally: RoomTally) => this.#traffic.freshOf(tally);
    const busiest = this.#best(half, [...holders, ...this.#traffic.busiest()], fresh);
    const series = new Map<RoomTally, Series>();
    for (const type of this.#types.values()) {
      this.#chosen.set(type, { connections: 0, held: 0, isNew: !type.shown });
      type.shown = true;
    }
    for (const tally of [...largest, ...busiest]) {
      if (series.has(tally) || series.size >= this.#top) continue;
      series.set(tally, this.#credit(tally));
    }
    this.#series = series;
    this.#traffic.turn();
  }

  /** The `most` rooms with the highest values above 0; those that have a series count as busier than they are. */
  #best(most: number, candidates: Iterable<RoomTally>, value: (tally: RoomTally) => number): RoomTally[] {
    const score = (tally: RoomTally) => value(tally) * (this.#series.has(tally) ? STAY_FACTOR : 1);
    return [...new Set(candidates)]
      .filter((tally) => tally.open && value(tally) > 0)
      .sort((a, b) => score(b) - score(a))
      .slice(0, most);
  }

  #credit(tally: RoomTally): Series {
    const chosen = this.#chosen.get(tally.type);
    if (chosen !== undefined) chosen.connections += tally.connections;
    const known = this.#series.get(tally);
    if (known === undefined) {
      const held = this.#traffic.freshOf(tally);
      if (chosen !== undefined) chosen.held += held;
      return { emits: 0, upTo: tally.emits - held };
    }
    const credit = tally.emits - known.upTo;
    tally.type.credited += credit;
    return { emits: known.emits + credit, upTo: tally.emits };
  }

  #typeOf(room: string): TypeTally {
    const name = roomType(room);
    const known = this.#types.get(name);
    if (known !== undefined) return known;
    const isOther = this.#types.size >= MOST_TYPES && !this.#isConfigured(name);
    const type = (isOther ? this.#types.get(OTHER) : undefined) ?? new TypeTally(isOther ? OTHER : name);
    this.#types.set(type.name, type);
    return type;
  }
}

function labelsOf({ room, type }: RoomTally): { room_type: string; room: string } {
  return { room_type: type.name, room };
}
