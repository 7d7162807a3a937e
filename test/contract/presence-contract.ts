import { describe, expect, it } from "vitest";
import type { MemberPage } from "../../src/presence/presence.ts";
import { eventually } from "../support/eventually.ts";
import { draft, join, RETENTION, WIDE } from "./drafts.ts";
import type { World, WorldFactory } from "./world.ts";

const ROOM = "chat:1";
const HOSTILE = [
  "__proto__",
  "c:ada",
  "n:ada",
  "s:ada",
  "a b\nc",
  '"},{"',
  "]}}}",
  "ü\u2028",
  "0",
  "%d%s",
  "constructor",
];

function ids(page: Pick<MemberPage, "members">): string[] {
  return page.members.map(({ id }) => id);
}

async function allMembers({ presence }: World, limit: number): Promise<string[]> {
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await presence.members(ROOM, cursor, limit);
    seen.push(...ids(page));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return seen;
}

/** What `Presence` promises, for every implementation. */
export function presenceContract(makeWorld: WorldFactory): void {
  describe("coming and going", () => {
    it("a user's first and last connection are changes, those between are none", async () => {
      const { presence, hear } = await makeWorld();
      const ear = await hear(ROOM);
      const ada = { id: "ada", name: "Ada", state: { mood: "good" } };
      const options = { name: "Ada", state: '{"mood":"good"}' };
      expect(await presence.join(join("ada", "c1", options))).toMatchObject({
        version: 1,
        memberCount: 1,
        members: [ada],
      });
      expect(await presence.join(join("ada", "c2", { name: "Ada" }))).toMatchObject({ version: 1, memberCount: 1 });
      expect(await presence.join(join("bob", "c3"))).toMatchObject({
        version: 2,
        memberCount: 2,
        members: [ada, { id: "bob" }],
      });
      await presence.leave(join("ada", "c1"));
      await presence.leave(join("ada", "c2"));
      await presence.leave(join("bob", "c3"));
      const changes = [
        { kind: "userJoined", user: ada, memberCount: 1, version: 1, by: "c1" },
        { kind: "userJoined", user: { id: "bob" }, memberCount: 2, version: 2, by: "c3" },
        { kind: "userLeft", user: ada, memberCount: 1, version: 3, by: "c2" },
        { kind: "userLeft", user: { id: "bob" }, memberCount: 0, version: 4, by: "c3" },
      ];
      await eventually(() => expect(ear.changes).toEqual(changes));
      const back = await presence.join(join("ada", "c4"));
      expect(back).toMatchObject({ version: 5, memberCount: 1 });
      expect(back.members).toEqual([{ id: "ada" }]);
    });

    it("joining again with the same connection counts once, and refreshes name and state", async () => {
      const { presence, hear } = await makeWorld();
      const ear = await hear(ROOM);
      await presence.join(join("ada", "c1", { name: "Ada", state: '{"a":1}' }));
      await presence.join(join("ada", "c1", { attempt: 2, name: "Ada" }));
      await presence.join(join("ada", "c1", { attempt: 3, name: "Ada", state: '{"a":1}' }));
      expect(await presence.join(join("ada", "c1", { attempt: 4, name: "Countess" }))).toMatchObject({
        version: 2,
        members: [{ id: "ada", name: "Countess", state: { a: 1 } }],
      });
      await presence.join(join("ada", "c2", { state: '{"a":2}' }));
      await presence.leave(join("ada", "c1", { attempt: 4 }));
      await presence.leave(join("ada", "c2"));
      await eventually(() =>
        expect(ear.changes).toMatchObject([
          { kind: "userJoined", version: 1 },
          { kind: "userUpdated", user: { name: "Countess", state: { a: 1 } }, version: 2, memberCount: 1, by: "c1" },
          { kind: "userUpdated", user: { id: "ada", state: { a: 2 } }, version: 3, by: "c2" },
          { kind: "userLeft", version: 4, by: "c2" },
        ]),
      );
      expect(ear.changes[2]?.user).not.toHaveProperty("name");
    });

    it("[G3] an older join that arrives late is superseded, an older leave does nothing", async () => {
      const { presence, hear } = await makeWorld();
      const ear = await hear(ROOM);
      await presence.join(join("ada", "c1", { attempt: 2, name: "new" }));
      await expect(presence.join(join("ada", "c1", { attempt: 1, name: "old" }))).rejects.toMatchObject({
        code: "superseded",
      });
      await presence.leave(join("ada", "c1", { attempt: 1 }));
      expect(await presence.members(ROOM, undefined, 10)).toMatchObject({
        members: [{ id: "ada", name: "new" }],
        version: 1,
      });
      await presence.leave(join("ada", "c1", { attempt: 2 }));
      await presence.leave(join("ada", "c1", { attempt: 2 }));
      await presence.join(join("bob", "c9"));
      await eventually(() =>
        expect(ear.changes.map(({ kind }) => kind)).toEqual(["userJoined", "userLeft", "userJoined"]),
      );
    });

    it("a leave ends the older join of its connection too", async () => {
      const { presence } = await makeWorld();
      await presence.join(join("ada", "c1", { attempt: 1 }));
      await presence.leave(join("ada", "c1", { attempt: 2 }));
      expect(await presence.members(ROOM, undefined, 10)).toMatchObject({ members: [], memberCount: 0 });
      expect(await presence.join(join("ada", "c1", { attempt: 3 }))).toMatchObject({ memberCount: 1 });
    });

    it("leaving a room or with a connection that nobody knows does nothing", async () => {
      const { presence } = await makeWorld();
      await presence.leave(join("ada", "c1", { room: "none" }));
      await presence.join(join("ada", "c1"));
      await presence.leave(join("ada", "c2"));
      expect(await presence.members(ROOM, undefined, 10)).toMatchObject({ memberCount: 1, version: 1 });
    });

    it("[G9] a full room refuses with `room_full`, changes nothing, and still lets its own users in", async () => {
      const { presence, hear } = await makeWorld();
      const ear = await hear(ROOM);
      await presence.join(join("ada", "c1", { maxMembers: 2 }));
      await presence.join(join("bob", "c2", { maxMembers: 2 }));
      await expect(presence.join(join("eve", "c3", { maxMembers: 2 }))).rejects.toMatchObject({ code: "room_full" });
      expect(await presence.join(join("bob", "c4", { maxMembers: 2 }))).toMatchObject({ memberCount: 2, version: 2 });
      await presence.leave(join("ada", "c1"));
      expect(await presence.join(join("eve", "c3", { attempt: 2, maxMembers: 2 }))).toMatchObject({
        memberCount: 2,
        version: 4,
      });
      await eventually(() => expect(ear.changes.map(({ user }) => user.id)).toEqual(["ada", "bob", "ada", "eve"]));
    });

    it("names and states come back as they were given, however they are spelt", async () => {
      const { presence, hear } = await makeWorld();
      const ear = await hear(ROOM);
      const state =
        '{"a":[],"o":{},"n":null,"big":1e300,"long":9007199254740993,"q":"\\u2028\\"]}}}","__proto__":{"x":1}}';
      for (const [i, user] of HOSTILE.entries()) await presence.join(join(user, `c${i}`, { name: user, state }));
      const page = await presence.members(ROOM, undefined, 100);
      const expected = HOSTILE.map((user) => ({ id: user, name: user, state: JSON.parse(state) as unknown }));
      expect(page.members).toEqual(expected);
      await eventually(() => expect(ear.changes.map(({ user }) => user)).toEqual(expected));
      for (const [i, user] of HOSTILE.entries()) await presence.leave(join(user, `c${i}`));
      await eventually(() => expect(ear.changes.slice(HOSTILE.length).map(({ user }) => user)).toEqual(expected));
      expect(await presence.members(ROOM, undefined, 100)).toMatchObject({ members: [], memberCount: 0 });
    });
  });

  describe("the fence", () => {
    it("[G3] a join carries the log's end in the moment of joining, and its epoch where there was none", async () => {
      const { presence, log, hear } = await makeWorld();
      const ear = await hear(ROOM);
      const first = await presence.join(join("ada", "c1"));
      expect(first.position).toEqual({ epoch: expect.stringMatching(/./), seq: 0, ts: 0 });
      const before = Array.from({ length: 20 }, (_, i) => log.append(ROOM, draft(`a${i}`)));
      const joining = presence.join(join("bob", "c2"));
      const after = Array.from({ length: 20 }, (_, i) => log.append(ROOM, draft(`b${i}`)));
      const { position } = await joining;
      expect((await before.at(-1))?.epoch).toBe(first.position.epoch);
      const { entries } = await log.readAfter(ROOM, position.seq, WIDE, RETENTION);
      await Promise.all(after);
      expect(position.epoch).toBe(first.position.epoch);
      const all = await log.readAfter(ROOM, 0, WIDE, RETENTION);
      expect(all.entries[position.seq - 1]?.ts ?? 0).toBe(position.ts);
      expect(entries[0]?.seq ?? position.seq + 1).toBe(position.seq + 1);
      await eventually(() => expect(ear.entries).toHaveLength(40));
    });
  });

  describe("setState", () => {
    it("replaces the user's state, and tells the room where it is another", async () => {
      const { presence, hear } = await makeWorld();
      const ear = await hear(ROOM);
      await presence.join(join("ada", "c1", { name: "Ada", state: '{"a":1,"b":2}' }));
      await presence.setState(join("ada", "c1"), '{"a":2}');
      await presence.setState(join("ada", "c1"), '{"a":2}');
      await presence.join(join("bob", "c2"));
      const updated = { id: "ada", name: "Ada", state: { a: 2 } };
      await eventually(() => expect(ear.changes.at(-1)).toMatchObject({ by: "c2" }));
      expect(ear.changes).toHaveLength(3);
      expect(ear.changes[1]).toEqual({ kind: "userUpdated", user: updated, memberCount: 1, version: 2, by: "c1" });
      expect((await presence.members(ROOM, undefined, 10)).members[0]).toEqual(updated);
    });

    it("rejects with `not_in_room` where the connection is not in", async () => {
      const { presence } = await makeWorld();
      await expect(presence.setState(join("ada", "c1"), "{}")).rejects.toMatchObject({ code: "not_in_room" });
      await presence.join(join("ada", "c1"));
      await expect(presence.setState(join("ada", "c2"), "{}")).rejects.toMatchObject({ code: "not_in_room" });
      await presence.leave(join("ada", "c1"));
      await expect(presence.setState(join("ada", "c1"), "{}")).rejects.toMatchObject({ code: "not_in_room" });
    });
  });

  describe("members", () => {
    it("come in the order of their coming, in pages, each once", async () => {
      const world = await makeWorld();
      const users = Array.from({ length: 230 }, (_, i) => `u${(i * 7) % 230}`);
      const joined = await Promise.all(users.map((user, i) => world.presence.join(join(user, `c${i}`))));
      expect(await allMembers(world, 100)).toEqual(users);
      expect(await allMembers(world, 33)).toEqual(users);
      expect(joined[99]).toMatchObject({ memberCount: 100, cursor: undefined });
      expect(ids({ members: joined[99]?.members ?? [] })).toEqual(users.slice(0, 100));
      expect(joined[229]).toMatchObject({ memberCount: 230, version: 230 });
      expect(ids({ members: joined[229]?.members ?? [] })).toEqual(users.slice(0, 100));
      const rest = await world.presence.members(ROOM, joined[229]?.cursor, 100);
      expect(ids(rest)).toEqual(users.slice(100, 200));
      expect(rest).toMatchObject({ memberCount: 230, version: 230 });
      expect(await world.presence.members(ROOM, rest.cursor, 30)).toMatchObject({ cursor: undefined });
    });

    it("[G9] come in pages of no more than so many bytes, but one at least, each once", async () => {
      const world = await makeWorld();
      const users = Array.from({ length: 12 }, (_, i) => `u${i}`);
      // The last one alone is more than a page.
      const sizes = users.map((_, i) => (i === 11 ? 200_000 : 40_000));
      for (const [i, user] of users.entries()) {
        const state = JSON.stringify({ text: "x".repeat(sizes[i] ?? 0) });
        await world.presence.join({ ...join(user, `c${i}`), state });
      }
      expect(await allMembers(world, 100)).toEqual(users);
      const { members, cursor } = await world.presence.join(join("u0", "c0", { attempt: 2 }));
      expect(ids({ members })).toEqual(users.slice(0, 4));
      const next = await world.presence.members(ROOM, cursor, 2);
      expect(ids(next)).toEqual(users.slice(4, 6));
      expect(ids(await world.presence.members(ROOM, next.cursor, 100))).toEqual(users.slice(6, 10));
    });

    it("a page goes on where the last one ended, whoever left meanwhile", async () => {
      const world = await makeWorld();
      for (let i = 0; i < 10; i++) await world.presence.join(join(`u${i}`, `c${i}`));
      const page = await world.presence.members(ROOM, undefined, 4);
      for (const i of [1, 3, 4]) await world.presence.leave(join(`u${i}`, `c${i}`));
      await world.presence.join(join("u1", "c99"));
      const rest = await world.presence.members(ROOM, page.cursor, 100);
      expect(ids(rest)).toEqual(["u5", "u6", "u7", "u8", "u9", "u1"]);
    });

    it("of a room that nobody used are none, and none can make one", async () => {
      const { presence, log } = await makeWorld();
      expect(await presence.members("none", undefined, 100)).toEqual({
        members: [],
        memberCount: 0,
        version: 0,
        cursor: undefined,
      });
      expect((await log.readAfter("none", 0, WIDE, RETENTION)).head.epoch).toBe("");
    });

    it.each(["", "abc", "-1", "+1", "1e3", "0x10", " 1", "99999999999999999999", "inf", "(1", "1\n"])(
      "a cursor that is not one of ours (%j) rejects with `bad_request`",
      async (cursor) => {
        const { presence } = await makeWorld();
        await expect(presence.members(ROOM, cursor, 10)).rejects.toMatchObject({ code: "bad_request" });
      },
    );
  });
}
