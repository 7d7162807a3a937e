import { describe, expect, it } from "vitest";
import { MOST_BANS } from "../../src/moderation/bans.ts";
import { join } from "./drafts.ts";
import type { WorldFactory } from "./world.ts";

const ROOM = "chat:1";
/** Names that a careless store would take for something else. */
const USERS = ["eve", "__proto__", "a b\nc", "ü\u2028", "0", "+inf", "(1"];

/** What `Bans` promises, for every implementation. */
export function bansContract(makeWorld: WorldFactory): void {
  describe("[G7] bans", () => {
    it("keep a user out of one room, joins included, until they are lifted", async () => {
      const { bans, presence } = await makeWorld();
      for (const user of USERS) {
        const until = await bans.ban(ROOM, user, 60);
        expect(Math.abs(until - Date.now() - 60_000)).toBeLessThan(5_000);
        expect(await bans.bannedFrom(ROOM, [user, "bob"])).toEqual(new Map([[user, until]]));
        expect(await bans.bannedFrom("chat:2", [user])).toEqual(new Map());
        await expect(presence.join(join(user, "c1"))).rejects.toMatchObject({ code: "banned" });
        expect(await bans.unban(ROOM, user)).toBe(true);
        expect(await bans.unban(ROOM, user)).toBe(false);
        await presence.join(join(user, "c1"));
        await presence.leave(join(user, "c1"));
      }
    });

    it("a newer ban takes the place of an older one, longer or shorter", async () => {
      const { bans } = await makeWorld();
      await bans.ban(ROOM, "eve", 60);
      const longer = await bans.ban(ROOM, "eve", 600);
      expect((await bans.bannedFrom(ROOM, ["eve"])).get("eve")).toBe(longer);
      const shorter = await bans.ban(ROOM, "eve", 6);
      expect(shorter).toBeLessThan(longer);
      expect((await bans.bannedFrom(ROOM, ["eve"])).get("eve")).toBe(shorter);
    });

    it("blocks are apart from bans, and all of them can be read", async () => {
      const { bans } = await makeWorld();
      const ends = new Map<string, number>();
      for (const user of USERS) ends.set(user, await bans.block(user, 60));
      expect(await bans.blocked()).toEqual(ends);
      expect(await bans.bannedFrom(ROOM, USERS)).toEqual(new Map());
      expect(await bans.unblock("eve")).toBe(true);
      expect(await bans.unblock("eve")).toBe(false);
      ends.delete("eve");
      expect(await bans.blocked()).toEqual(ends);
    });

    it("[G9] are bounded: past that a named error, and who is banned can still be banned for longer", async () => {
      const { bans } = await makeWorld();
      const users = Array.from({ length: MOST_BANS }, (_, index) => `u${index}`);
      for (let start = 0; start < users.length; start += 500) {
        await Promise.all(users.slice(start, start + 500).map((user) => bans.ban(ROOM, user, 60)));
      }
      await expect(bans.ban(ROOM, "one more", 60)).rejects.toMatchObject({ code: "rate_limited" });
      await bans.ban(ROOM, "u0", 600);
      await bans.ban("chat:2", "one more", 60);
    });
  });
}
