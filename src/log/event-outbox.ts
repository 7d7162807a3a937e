/** What happens in a room that the application's servers may want to hear of: its messages, or who comes and goes. */
export type RoomNews = "messages" | "presence";

/**
 * Where the scripts of a room leave events for webhooks, in the room's own slot and in the same atomic step as what they
 * tell of. Where no endpoint wants them, nothing is sent and nothing stored.
 */
export interface EventOutbox {
  /**
   * The keys that the script is given behind its own; none where no endpoint wants such news of the room. Sends on the
   * same connection, before the script, the note by which other nodes find the outbox when this one dies.
   */
  open(room: string, news: RoomNews): readonly string[];

  /** After the script, whatever came of it: the events may be there. Nothing where `keys` is empty. */
  written(room: string, keys: readonly string[]): void;
}

const NO_KEYS: readonly string[] = [];

/** Without webhooks. */
export const NO_OUTBOX: EventOutbox = { open: () => NO_KEYS, written: () => undefined };
