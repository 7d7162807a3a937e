import { setTimeout as delay } from "node:timers/promises";
import { signToken } from "../test/support/token.ts";
import type { Journal } from "./journal.ts";
import { Line } from "./line.ts";
import type { Member } from "./member.ts";
import type { RoomAtEnd } from "./observations.ts";
import { readLog, readMembers } from "./pages.ts";

const LOOK_MS = 250;
/** In which the stock adapter passes on what it passes on. */
const STOCK_QUIET_MS = 2_000;

/** Looks again and again; false where it is not so within the time. */
export async function until(isSo: () => boolean | Promise<boolean>, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) return false;
    await delay(LOOK_MS);
  }
  return true;
}

/** Waits until everybody is back, has everything, and sees who is there; returns what the rooms then hold, well or not. */
export async function settled(
  url: string,
  members: readonly Member[],
  journal: Journal,
  by: number,
): Promise<ReadonlyMap<string, RoomAtEnd>> {
  const names = [...new Set(members.flatMap(({ rooms }) => rooms))].sort();
  const auditor = new Line("auditor", journal, url, await signToken({ sub: "auditor" }), ["websocket"]);
  auditor.socket.connect();
  try {
    let rooms = new Map<string, RoomAtEnd>();
    do {
      await delay(LOOK_MS);
      const isBack = members.every((member) => member.departed !== undefined || member.isInAll());
      if (!isBack || !auditor.socket.connected) continue;
      rooms = (await readRooms(auditor, names)) ?? rooms;
    } while (!isAsItShouldBe(rooms, names, members) && journal.now() < by);
    // Somebody stays away, and what there is to read is worth reading all the same.
    return rooms.size < names.length ? ((await readRooms(auditor, names)) ?? rooms) : rooms;
  } finally {
    auditor.close();
  }
}

function isAsItShouldBe(
  rooms: ReadonlyMap<string, RoomAtEnd>,
  names: readonly string[],
  members: readonly Member[],
): boolean {
  return names.every((name) => {
    const room = rooms.get(name);
    const here = members.filter((member) => member.isIn(name));
    const users = [...new Set(here.map(({ user }) => user))].sort().join();
    return (
      room !== undefined &&
      [...room.members].sort().join() === users &&
      here.every(
        (member) => member.positionIn(name)?.seq === room.position.seq && member.usersIn(name).join() === users,
      )
    );
  });
}

/** There is no log to compare with: whatever is under way has come after a while. */
export async function settledStock(
  members: readonly Member[],
  journal: Journal,
  by: number,
): Promise<ReadonlyMap<string, RoomAtEnd>> {
  await until(
    () => members.every((member) => member.departed !== undefined || member.isInAll()),
    Math.max(0, by - journal.now()),
  );
  await delay(STOCK_QUIET_MS);
  return new Map();
}

/** The whole log and all members of each room, by the same requests as every client's; nothing where one was refused. */
async function readRooms(line: Line, rooms: readonly string[]): Promise<Map<string, RoomAtEnd> | undefined> {
  const found = new Map<string, RoomAtEnd>();
  for (const room of rooms) {
    const page = await readMembers(line, room);
    const log = await readLog(line, room);
    if (page === undefined || log === undefined) return undefined;
    found.set(room, { ...log, members: page.members.map(({ id }) => id) });
  }
  return found;
}
