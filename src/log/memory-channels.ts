import type { ChannelListener, RoomChannels } from "../feed/room-channels.ts";
import type { PresenceChange } from "../presence/presence.ts";
import type { Entry } from "./room-log.ts";

/** The rooms' channels within one process, for a node without Redis. */
export class MemoryChannels implements RoomChannels {
  readonly #listeners = new Map<string, ChannelListener>();
  readonly #queue: (() => void)[] = [];

  async open(room: string, listener: ChannelListener): Promise<void> {
    this.#listeners.set(room, listener);
  }

  close(room: string): void {
    this.#listeners.delete(room);
  }

  publishEntry(room: string, entry: Entry): void {
    this.#publish(room, (listener) => listener.entry(entry));
  }

  publishPresence(room: string, change: PresenceChange): void {
    this.#publish(room, (listener) => listener.presence(change));
  }

  /** Delivers later, in order: a listener may itself publish, and is never called while it still runs. */
  #publish(room: string, deliver: (listener: ChannelListener) => void): void {
    const listener = this.#listeners.get(room);
    if (listener === undefined) return;
    this.#queue.push(() => {
      if (this.#listeners.get(room) === listener) deliver(listener);
    });
    if (this.#queue.length === 1) queueMicrotask(() => this.#drain());
  }

  #drain(): void {
    for (const deliver of this.#queue) deliver();
    this.#queue.length = 0;
  }
}
