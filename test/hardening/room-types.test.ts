import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { connectWitness } from "../support/witness.ts";

describe("rooms that were open to everybody, and must not be any more", () => {
  it("[G7] SIGHUP closes them to who is in too; a file that is wrong changes nothing", async () => {
    const folder = mkdtempSync(join(tmpdir(), "roomcast-types-"));
    stopsWithTest(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "types.json");
    const write = (types: object | string) =>
      writeFileSync(file, typeof types === "string" ? types : JSON.stringify(types));
    write({ hall: { access: "authenticated" } });
    const cluster = await startCluster({ nodes: 1, env: { REDIS_URL: "memory:", ROOM_TYPES: file } });
    const guest = await connectWitness(cluster.urls[0] ?? "", { claims: { rooms: {} } });
    const owner = await connectWitness(cluster.urls[0] ?? "", { claims: { rooms: { "*": ["*"] } } });
    for (const one of [guest, owner]) await one.ok("joinRoom", { room: "hall:1" });
    const lines = (text: string) => cluster.logs(0).filter((line) => line.includes(text));

    for (const [wrong, says] of [
      [{ hall: { access: "nobody" } }, "hall.access must be one of token, authenticated"],
      [{ hall: { access: "token" }, den: { acess: "token" } }, "den has unknown fields: acess"],
      ["{", "is not JSON"],
    ] as const) {
      const before = lines("the room types stay as they were").length;
      write(wrong);
      await cluster.kill(0, "SIGHUP");
      await eventually(() => expect(lines("the room types stay as they were")).toHaveLength(before + 1));
      expect(lines("the room types stay as they were").at(-1)).toContain(says);
    }
    await guest.ok("sendMessage", { room: "hall:1", data: 1 });

    write({ hall: { access: "token" } });
    await cluster.kill(0, "SIGHUP");
    await eventually(() => expect(guest.of("removed")).toEqual([{ room: "hall:1", reason: "forbidden" }]));
    expect((await guest.refused("joinRoom", { room: "hall:1" })).error.code).toBe("forbidden");
    expect((await guest.refused("getHistory", { room: "hall:1" })).error.code).toBe("forbidden");
    await owner.ok("sendMessage", { room: "hall:1", data: 2 });
    expect(owner.of("removed")).toEqual([]);
    expect(guest.of("message", "hall:1").map(({ data }) => data)).toEqual([1]);
  });
});
