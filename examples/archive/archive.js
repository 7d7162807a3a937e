// Copies every message of chosen room types into files, at least once: docs/archive.md.
import { mkdir } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { lastOf, readLog, roomsWithLogs } from "./log-keys.js";
import { RoomFile } from "./room-file.js";

const { REDIS_URL, REDIS_PREFIX = "roomcast", TYPES = "", FOLDER = "archive" } = process.env;
const SWEEP_MS = 1_000 * Number(process.env.SWEEP_SECONDS ?? 30);
const POLL_MS = 1_000 * Number(process.env.POLL_SECONDS ?? 2);
/** Small pages: at 64 KiB a message Redis has 6 MB to send for one, and serves others in between. */
const PAGE = 100;
/** Rooms that are read at the same time. */
const PARALLEL = 20;

// It waits for Redis, however long that is away.
const redis = new Redis(REDIS_URL, { maxRetriesPerRequest: null });
redis.on("error", (error) => process.stderr.write(`Redis: ${error.message}\n`));
await mkdir(FOLDER, { recursive: true });

/** Copies what the room's log has beyond the file. Answers how many messages that were. */
async function copy(room, file) {
  let copied = 0;
  for (;;) {
    const at = await file.position();
    // With the last one that was copied: it tells whether this is still the same line of messages.
    const page = await readLog(redis, REDIS_PREFIX, room, at.seq, PAGE + 1);
    const news = page[0]?.seq === at.seq && page[0].ts === at.ts ? page.slice(1) : page;
    if (news.length === 0 && ((await lastOf(redis, REDIS_PREFIX, room))?.seq ?? at.seq) >= at.seq) return copied;
    const [first] = news;
    if (first === undefined || first.seq <= at.seq || (first.seq === at.seq + 1 && first.prev !== at.ts)) {
      copied += await copyAnew(room, file, at);
      continue;
    }
    const lines = news.map(({ line }) => line);
    if (first.seq > at.seq + 1) lines.unshift(JSON.stringify({ note: "gap", after: at.seq, before: first.seq }));
    const { seq, ts } = news.at(-1);
    await file.append(lines, { seq, ts });
    copied += news.length;
  }
}

/** Redis lost the end of the log, and others came after that: all that it has now is copied, known or not. */
async function copyAnew(room, file, at) {
  const page = await readLog(redis, REDIS_PREFIX, room, 0, PAGE);
  const last = page.at(-1);
  if (last === undefined) return 0;
  const note = JSON.stringify({ note: "another line of messages", after: at.seq });
  await file.append([note, ...page.map(({ line }) => line)], { seq: last.seq, ts: last.ts });
  return page.length;
}

let files = new Map();
let nextSweep = 0;
for (;;) {
  if (Date.now() >= nextSweep) {
    nextSweep = Date.now() + SWEEP_MS;
    const rooms = await roomsWithLogs(redis, REDIS_PREFIX, TYPES.split(","));
    files = new Map([...rooms].map((room) => [room, files.get(room) ?? new RoomFile(FOLDER, room)]));
  }
  const rooms = [...files];
  let copied = 0;
  for (let start = 0; start < rooms.length; start += PARALLEL) {
    const slice = rooms.slice(start, start + PARALLEL).map(([room, file]) => copy(room, file));
    for (const count of await Promise.all(slice)) copied += count;
  }
  if (copied > 0) process.stdout.write(`copied ${copied} messages of ${rooms.length} rooms\n`);
  await delay(POLL_MS);
}
