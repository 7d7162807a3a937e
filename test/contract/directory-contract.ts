import { expect, it } from "vitest";
import { draft, join } from "./drafts.ts";
import type { World, WorldFactory } from "./world.ts";

/** Joins as a node does: the room is added once somebody is in. */
async function occupy({ presence, directory }: World, room: string, user = "ada", connection = `${user} ${room}`) {
  const request = join(user, connection, { room });
  await presence.join(request);
  await directory.add([room]);
  return request;
}

/** Every page's rooms, with how many pages there were. */
async function listAll({ directory }: World, type: string | undefined, limit: number) {
  const rooms: string[] = [];
  let cursor: string | undefined;
  let pages = 0;
  do {
    const page = await directory.list(type, cursor, limit);
    expect(page.missing).toEqual([]);
    expect(page.rooms.length).toBeLessThanOrEqual(limit);
    rooms.push(...page.rooms.map(({ room }) => room));
    cursor = page.cursor;
    pages += 1;
  } while (cursor !== undefined && pages < 500);
  return rooms;
}

/** What `RoomDirectory` promises, for every implementation. */
export function directoryContract(makeWorld: WorldFactory): void {
  it("lists every occupied room once, whatever the size of the pages", async () => {
    const world = await makeWorld();
    const rooms = Array.from({ length: 150 }, (_, i) => `chat:${i}`);
    for (const room of rooms) await occupy(world, room);
    for (const limit of [1, 7, 100]) expect((await listAll(world, undefined, limit)).sort()).toEqual(rooms.toSorted());
  });

  it("lists the rooms of one type, and none of a type that only begins like it", async () => {
    const world = await makeWorld();
    const rooms = ["chat", "chat:", "chat:1", "chat:é", "chats:1", "cha", "chat;x", "chat9", "game:chat:1"];
    for (const room of rooms) await occupy(world, room);
    for (const limit of [1, 2, 100]) {
      expect((await listAll(world, "chat", limit)).sort()).toEqual(["chat", "chat:", "chat:1", "chat:é"]);
    }
    expect(await listAll(world, "ch", 10)).toEqual([]);
  });

  it("tells members, connections and the log's end of a room", async () => {
    const world = await makeWorld();
    const { presence, directory, log } = world;
    const [first, second] = [await occupy(world, "chat:1", "ada", "c1"), await occupy(world, "chat:1", "ada", "c2")];
    await occupy(world, "chat:1", "bob", "c3");
    // Joining again is no other connection.
    await presence.join({ ...first, attempt: 2 });
    const { epoch, seq, ts } = await log.append("chat:1", draft("a"));
    const state = { room: "chat:1", members: 2, connections: 3, position: { epoch, seq, ts } };
    expect(await directory.look("chat:1")).toEqual(state);
    expect((await directory.list(undefined, undefined, 10)).rooms).toEqual([state]);
    await presence.leave(second);
    expect(await directory.look("chat:1")).toMatchObject({ members: 2, connections: 2 });
    await presence.leave({ ...first, attempt: 2 });
    await presence.leave(join("bob", "c3"));
    expect(await directory.look("chat:1")).toEqual({ ...state, members: 0, connections: 0 });
    expect(await directory.look("chat:none")).toBeUndefined();
  });

  it("a review takes out who is empty, and leaves who is not", async () => {
    const world = await makeWorld();
    const gone = await occupy(world, "chat:gone");
    await occupy(world, "chat:here");
    await world.presence.leave(gone);
    await world.directory.review(["chat:gone", "chat:here", "chat:never"]);
    expect(await listAll(world, undefined, 10)).toEqual(["chat:here"]);
  });

  it.each(["", "x", "*"])("a cursor that is not one of ours (%j) rejects with `bad_request`", async (cursor) => {
    const { directory } = await makeWorld();
    await expect(directory.list(undefined, cursor, 10)).rejects.toMatchObject({ code: "bad_request" });
  });
}
