/** Where Roomcast keeps the logs of rooms, and what is in them: docs/archive.md. */
const SCAN_COUNT = 1_000;

const literally = (text) => text.replaceAll(/[\\*?[\]]/g, "\\$&");

/** Every room of these types that has a log now, occupied or not. */
export async function roomsWithLogs(redis, prefix, types) {
  const [start, end] = [`{${prefix}#/#`, "#}:log"];
  const rooms = new Set();
  for (const type of types) {
    let cursor = "0";
    do {
      const pattern = `${literally(start + type)}*${end}`;
      const [next, keys] = await redis.scan(cursor, "MATCH", pattern, "COUNT", SCAN_COUNT, "TYPE", "stream");
      for (const key of keys) {
        const room = key.slice(start.length, -end.length);
        // A type is what stands before the first colon: `chat*` finds `chatter:1`, too.
        if (room.split(":", 1)[0] === type) rooms.add(room);
      }
      cursor = next;
    } while (cursor !== "0");
  }
  return rooms;
}

/** Up to `count` entries from `seq` on, that one too: `{seq, ts, prev, line}`. */
export async function readLog(redis, prefix, room, seq, count) {
  const entries = await redis.xrange(`{${prefix}#/#${room}#}:log`, `${seq}-0`, "+", "COUNT", count);
  return entries.map(entryOf);
}

/** The last entry, if there is one. */
export async function lastOf(redis, prefix, room) {
  const [last] = await redis.xrevrange(`{${prefix}#/#${room}#}:log`, "+", "-", "COUNT", 1);
  return last === undefined ? undefined : entryOf(last);
}

function entryOf([id, fields]) {
  const value = (name) => fields[fields.indexOf(name) + 1];
  return { seq: Number.parseInt(id, 10), ts: Number(value("t")), prev: Number(value("p")), line: value("b") };
}
