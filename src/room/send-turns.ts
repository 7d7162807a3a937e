import type { Connection } from "./connection.ts";

/**
 * Keeps one connection's messages to a room in the order sent while an application is asked about each: all are asked at
 * once, and each goes on only when those before it have gone on or were refused.
 */
export class SendTurns {
  readonly #last = new WeakMap<Connection, Map<string, Promise<void>>>();

  /** `before` resolves when this one is next; `done` lets the one behind it go on, and must be called. */
  take(connection: Connection, room: string): { before: Promise<void>; done: () => void } {
    const rooms = this.#last.get(connection) ?? new Map<string, Promise<void>>();
    this.#last.set(connection, rooms);
    const before = rooms.get(room) ?? Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    // The whole line, not only this one: whoever was given up early must not let others past those before it.
    const behind = Promise.all([before, promise]).then(() => undefined);
    rooms.set(room, behind);
    const forget = () => {
      if (rooms.get(room) === behind) rooms.delete(room);
    };
    const done = () => {
      resolve();
      behind.then(forget, forget);
    };
    return { before, done };
  }
}
