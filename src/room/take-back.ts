import { RoomcastError } from "../errors.ts";
import type { Feeds } from "../feed/feeds.ts";
import { removalRest, tombstoneOf } from "../log/removal.ts";
import type { Retention, RoomLog } from "../log/room-log.ts";
import { BOUNDS, type Message } from "../protocol.ts";

/**
 * Takes one message back: it is read as a tombstone from then on, and the taking back is an entry of the log itself, so that
 * every member is told of it in its place, also after an outage (docs/decisions/0009). May be repeated. Rejects with
 * `not_found` where no message stands at `seq`, and with `unavailable` when the outcome is unknown.
 */
export async function takeBack(
  log: RoomLog,
  feeds: Pick<Feeds, "get">,
  room: string,
  seq: number,
  retention: Retention,
): Promise<void> {
  const nothing = () => new RoomcastError("not_found", `${room} has no message at ${seq}, or not any more`);
  const { entries } = await log.readAfter(room, seq - 1, { maxMessages: 1, maxBytes: BOUNDS.pageBytes }, retention);
  const entry = entries[0];
  if (entry === undefined || entry.seq !== seq) throw nothing();
  const message = JSON.parse(entry.body.toString()) as Message;
  if (message.removes !== undefined) throw nothing();
  if (message.removed) return;
  const stored = await log.append(room, {
    space: "r",
    sender: "",
    id: String(seq),
    rest: removalRest(room, seq),
    known: feeds.get(room)?.known,
    retention,
    removes: { seq, ts: entry.ts, tombstone: tombstoneOf(message) },
  });
  feeds.get(room)?.stored(stored);
}
