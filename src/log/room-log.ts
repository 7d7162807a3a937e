/** A place in a room's log. `ts` is that of the message at `seq` (0 where `seq` is 0): it tells a fork apart. */
export interface Position {
  epoch: string;
  seq: number;
  ts: number;
}

/** Before a room's first message. */
export const NOWHERE: Position = { epoch: "", seq: 0, ts: 0 };

/** One stored message. `body` is the JSON text of the whole `message` payload as clients receive it. */
export interface Entry {
  readonly epoch: string;
  readonly seq: number;
  /** Unix milliseconds, by the store's clock; never smaller than the one before. */
  readonly ts: number;
  /** The `ts` of the entry before this one, 0 for a room's first: entries form a chain. */
  readonly prev: number;
  readonly body: Buffer;
}

/** What bounds a room's log. */
export interface Retention {
  /** Most messages kept. */
  readonly maxMessages: number;
  /** Most bytes of bodies kept. */
  readonly maxBytes: number;
  /** How long a message can be read, in milliseconds. */
  readonly maxAgeMs: number;
}

/** A message to be stored. Whoever calls has validated every field; `rest` is trusted to be what its comment says. */
export interface Draft {
  /**
   * Whose ids these are: `u` for the users of tokens, `k` for API keys, `r` for removals. With `sender` and `id` it names a
   * dedupe entry.
   */
  readonly space: "u" | "k" | "r";
  readonly sender: string;
  readonly id: string;
  /**
   * The JSON text of the payload after `seq` and `ts`, without the opening brace:
   * `"room":…,"id":…,"from":…,"event":…,"data":…}`. The log puts `{"seq":n,"ts":n,` in front.
   */
  readonly rest: string;
  /** Where the caller's feed stands, if it has one: a log that lost its end is noticed by this. */
  readonly known: Position | undefined;
  readonly retention: Retention;
  /** An earlier entry that this one takes the place of, in the same step: it is read as its tombstone from then on. */
  readonly removes?: Removal;
}

/** The entry at `seq` that was read with this `ts`. */
export interface Removal {
  readonly seq: number;
  readonly ts: number;
  /** The whole payload that is read in its place. */
  readonly tombstone: string;
}

/** Where a message was stored. `duplicate`: it was there already, and this is the place of the first one. */
export interface Appended {
  readonly epoch: string;
  readonly seq: number;
  readonly ts: number;
  readonly duplicate: boolean;
}

/** A run of entries without a hole, oldest first, and where the log's end was at that moment. */
export interface Page {
  readonly entries: readonly Entry[];
  readonly head: Position;
  /** True where more entries than these were in the direction of reading. */
  readonly more: boolean;
}

/** How much one page may hold: whichever is reached first. At least one entry is returned where there is one. */
export interface PageSize {
  readonly maxMessages: number;
  readonly maxBytes: number;
}

/**
 * A room's ordered history.
 *
 * - `append` is one atomic step: it looks the id up, numbers, stores and publishes. What it returned is stored; the
 *   order of the log is the order of the room's channel. It rejects with `unavailable` when the outcome is unknown
 *   (the entry may be there: the same id again finds out), and never leaves a hole in the numbers.
 * - Appends that were called one after the other for one room are stored in that order. Those of one turn of the event loop
 *   may be one step together; each is still answered by itself.
 * - A new epoch means that the line of numbers broke: the log was lost, or (a fork) what it holds at a position is not
 *   what somebody was already given. It is started by `purge`, and by `append` and `check` when a node's own position
 *   disagrees with the log, never by a read. Entries that are still there stay readable.
 * - A dedupe entry counts within the epoch in which it was stored, and in a later one for as long as its message stands in the
 *   log; the place that is answered is of the epoch of now, as a read has it.
 * - A removal changes no number and no place: the removed entry keeps its `seq`, `ts` and place in the chain, and every read
 *   that begins after the removal was stored has the tombstone as its body. Nobody reads the old one again.
 * - Reading a room that nobody used makes nothing: its head is `{ epoch: "", seq: 0, ts: 0 }`.
 * - Entries older than `maxAgeMs` are never returned.
 */
export interface RoomLog {
  /** With `removes` it rejects with `not_found`, and changes nothing, where no entry of that `ts` stands at that `seq`. */
  append(room: string, draft: Draft): Promise<Appended>;

  /**
   * Removes every entry and starts a new epoch, in which the numbers go on; nothing where nobody used the room.
   * May be repeated. Rejects with `unavailable`.
   */
  purge(room: string): Promise<void>;

  /** The entries after `seq`. Where the first of them is gone, `entries` starts later: callers check the chain. */
  readAfter(room: string, seq: number, size: PageSize, retention: Retention): Promise<Page>;

  /** The last entries before `seq` (without it: before the end), oldest first, with no hole between them. */
  readBefore(room: string, seq: number | undefined, size: PageSize, retention: Retention): Promise<Page>;

  /**
   * Compares the positions of open feeds with their logs, starts a new epoch where one disagrees, puts versions of presence
   * past those that members know, and renews the lives of the keys. Answers one head per position, in order; one failing fails
   * all. At most 500 at a time.
   */
  check(positions: readonly RoomPosition[]): Promise<readonly Head[]>;

  /**
   * Which of these rooms are not as they are taken to be, or have something for `check` to do: in Redis it costs a sixth of that
   * (docs/performance.md). Where the store cannot look at many rooms at once, all of them. One failing fails all, with
   * `unavailable`. At most 500 at a time.
   */
  findChanged(rooms: readonly SeenRoom[]): Promise<ReadonlySet<string>>;
}

export interface RoomPosition {
  readonly room: string;
  readonly position: Position;
  readonly retention: Retention;
  /** Of presence, as members were told: a room that is behind it lost changes, and counts on from past it. */
  readonly version?: number;
}

/** A room as somebody takes it to be: where its log ends, the version of its presence, and `oldest` of the last head. */
export interface SeenRoom extends RoomPosition {
  readonly version: number;
  readonly oldest: string;
}

/** The end of a room's log, how much it holds, and the version of its presence. */
export interface Head extends Position {
  readonly version: number;
  readonly memberCount: number;
  /** Entries that are kept, and the bytes of their bodies as they were appended. */
  readonly messages: number;
  readonly bytes: number;
  /** Of the first entry that was kept when some were trimmed for their age or size: another one after the next time, as a rule. */
  readonly oldest: string;
}
