import type { RoomCount } from "../feed/feed-counts.ts";
import type { BusyRooms } from "./busy-rooms.ts";
import type { RoomsBySize } from "./rooms-by-size.ts";

/** What all rooms of a type count on this node. */
export class TypeTally {
  readonly name: string;
  connections = 0;
  emits = 0;
  /** Of the emits, those that went to the series of single rooms. */
  credited = 0;
  /** It was there at the scrape before the last choice. */
  shown = false;

  constructor(name: string) {
    this.name = name;
  }
}

/** What the rooms of a node share. */
export interface RoomsCounted {
  readonly sizes: RoomsBySize;
  readonly traffic: BusyRooms;
  closed(tally: RoomTally): void;
}

/** What one room counts on this node, as long as its feed is open. */
export class RoomTally implements RoomCount {
  readonly room: string;
  readonly type: TypeTally;
  connections = 0;
  emits = 0;
  /** The window in which it last emitted, and how many emits there were before it. */
  window = -1;
  before = 0;
  /** Among the busy rooms of that window. */
  busy = false;
  open = true;
  /** What the room's log holds, by the last comparison and what came since; undefined before the first. */
  log: { messages: number; bytes: number } | undefined;
  readonly #shared: RoomsCounted;

  constructor(room: string, type: TypeTally, shared: RoomsCounted) {
    this.room = room;
    this.type = type;
    this.#shared = shared;
  }

  emitted(): void {
    const { traffic } = this.#shared;
    this.emits += 1;
    this.type.emits += 1;
    if (this.window !== traffic.window) {
      this.window = traffic.window;
      this.before = this.emits - 1;
      this.busy = false;
    }
    if (!this.busy && this.emits - this.before > traffic.bar) traffic.offer(this);
  }

  has(connections: number): void {
    if (connections === this.connections) return;
    this.#shared.sizes.move(this, this.connections, connections);
    this.type.connections += connections - this.connections;
    this.connections = connections;
  }

  logHolds(messages: number, bytes: number): void {
    this.log = { messages, bytes };
  }

  logGrew(bytes: number): void {
    if (this.log === undefined) return;
    this.log.messages += 1;
    this.log.bytes += bytes;
  }

  closed(): void {
    this.has(0);
    this.open = false;
    this.#shared.closed(this);
  }
}
