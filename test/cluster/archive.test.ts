import { appendFile, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import type { Message } from "../../src/protocol.ts";
import { apiOf } from "../support/api.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { type Program, startProgram } from "../support/program.ts";
import { rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { roomTypesFile } from "../support/room-types.ts";
import { redisUrl } from "../support/run-redis.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { connectWitness } from "../support/witness.ts";

const ROOT = join(import.meta.dirname, "../..");
const SCRIPT = join(ROOT, "examples/archive/archive.js");

type Line = Message & { note?: string; after?: number; before?: number };

describeWithRedis("examples/archive", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    const types = await roomTypesFile({ short: { history: { maxMessages: 5 } } });
    cluster = await startCluster({ nodes: 2, env: { ROOM_TYPES: types.path, RATE_LIMITS: "off" } });
    return async () => {
      await cluster.stop();
      await types.remove();
    };
  });
  const newFolder = async () => {
    const folder = await mkdtemp(join(tmpdir(), "roomcast-archive-"));
    stopsWithTest(() => rm(folder, { recursive: true, force: true }));
    return folder;
  };
  const archive = (folder: string, types: string, url = redisUrl()): Program =>
    startProgram([SCRIPT], {
      env: {
        REDIS_URL: url,
        REDIS_PREFIX: cluster.prefix,
        TYPES: types,
        FOLDER: folder,
        SWEEP_SECONDS: "0.1",
        POLL_SECONDS: "0.05",
      },
    });
  const linesOf = async (folder: string, room: string): Promise<Line[]> => {
    const text = await readFile(join(folder, `${encodeURIComponent(room)}.jsonl`), "utf8");
    return text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);
  };
  const send = async (rooms: readonly string[], tag: string, count: number) => {
    const messages = rooms.flatMap((room) =>
      Array.from({ length: count }, (_, n) => ({ room, id: `${tag}-${n}`, data: `${tag} ${n}` })),
    );
    const { status } = await apiOf(cluster.urls[0])("POST", "/messages", { body: { messages } });
    expect(status).toBe(200);
  };

  it("copies every message once through kill -9, also of rooms that were occupied for a moment only", async () => {
    const folder = await newFolder();
    const rooms = Array.from({ length: 40 }, (_, n) => `chat:${n}/ü`);
    const ada = await connectWitness(cluster.urls[1] ?? "");
    await ada.ok("joinRoom", { room: "chat:brief" });
    await ada.ok("sendMessage", { room: "chat:brief", data: 'a "moment"\n' });
    await ada.ok("leaveRoom", { room: "chat:brief" });
    await send(["chatter:other", "support:1"], "x", 3);
    await send(rooms, "before", 20);

    const first = archive(folder, "chat,support");
    await eventually(async () => expect((await readdir(folder)).length).toBeGreaterThan(0));
    for (let i = 0; i < 3; i++) await send(rooms, `during-${i}`, 20);
    await first.kill();
    await send(rooms, "away", 20);
    // As a process leaves it that dies in the middle of a write.
    const torn = join(folder, `${encodeURIComponent(rooms[0] ?? "")}.jsonl`);
    await appendFile(torn, '{"seq":9999,"ts":1,"da');
    const second = archive(folder, "chat,support");
    await send(rooms, "after", 20);

    const wanted = Array.from({ length: 120 }, (_, n) => n + 1);
    await eventually(
      async () => {
        for (const room of rooms) expect((await linesOf(folder, room)).map(({ seq }) => seq)).toEqual(wanted);
        expect((await linesOf(folder, "chat:brief")).map(({ data }) => data)).toEqual(['a "moment"\n']);
        expect(await linesOf(folder, "support:1")).toHaveLength(3);
      },
      { withinMs: 20_000 },
    );
    const { body } = await apiOf(cluster.urls[0])(
      "GET",
      `/rooms/${encodeURIComponent(rooms[7] ?? "")}/messages?limit=500`,
    );
    expect(await linesOf(folder, rooms[7] ?? "")).toEqual(body.messages);
    expect((await readdir(folder)).filter((name) => name.startsWith("chatter"))).toEqual([]);
    expect(second.lines.filter((line) => !line.startsWith("copied"))).toEqual([]);
  });

  it("notes what was trimmed before it was read, and a log that went another way", async () => {
    const folder = await newFolder();
    const room = "short:1";
    await send([room], "a", 2);
    const first = archive(folder, "short");
    await eventually(async () => expect(await linesOf(folder, room)).toHaveLength(2));
    await first.kill();
    await send([room], "b", 8);
    archive(folder, "short");
    await eventually(async () => {
      const lines = await linesOf(folder, room);
      expect(lines.map(({ seq, note }) => note ?? seq)).toEqual([1, 2, "gap", 6, 7, 8, 9, 10]);
      expect(lines[2]).toEqual({ note: "gap", after: 2, before: 6 });
    });
    // Redis lost everything of the room, as after a failover, and others send.
    await rawRedis().del(`{${cluster.prefix}#/#${room}#}:log`, `{${cluster.prefix}#/#${room}#}:meta`);
    await send([room], "c", 2);
    await eventually(async () => {
      const lines = (await linesOf(folder, room)).slice(8);
      expect(lines.map(({ note, data }) => note ?? data)).toEqual(["another line of messages", "c 0", "c 1"]);
    });
  });

  it("needs no other rights in Redis than docs/archive.md says", async () => {
    const page = await readFile(join(ROOT, "docs/archive.md"), "utf8");
    const line = /<!-- acl:start -->\n```\n(.+)\n```/.exec(page)?.[1] ?? "";
    const user = `archive-${cluster.prefix}`;
    const command = line.replace("archive", user).replaceAll("roomcast", cluster.prefix).split(" ").slice(1);
    const redis = rawRedis();
    await redis.call("ACL", ...command);
    try {
      const folder = await newFolder();
      await send(["acl:1"], "a", 3);
      const url = new URL(redisUrl());
      [url.username, url.password] = [user, "a-long-password"];
      const program = archive(folder, "acl", url.href);
      await eventually(async () => expect(await linesOf(folder, "acl:1")).toHaveLength(3));
      // It says so only after the file is written.
      await eventually(() => expect(program.lines).toEqual(["copied 3 messages of 1 rooms"]));
      await program.stop();
    } finally {
      await redis.call("ACL", "DELUSER", user);
    }
  });
});
