import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Socket } from "socket.io-client";
import { expect, it } from "vitest";
import type { Message, ServerEvents } from "../../src/protocol.ts";
import { apiOf } from "../support/api.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { keysWith, rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { signToken } from "../support/token.ts";

const ROOT = join(import.meta.dirname, "../..");

interface Client {
  follow(
    url: string,
    token: string,
    room: string,
    on: {
      onMessage(message: Message): void;
      onRemoved(seq: number): void;
      onReload(): void;
      onRefused(error: { code: string }): void;
    },
  ): Socket;
}

/** The client of README.md as it stands there. */
async function readmeClient(): Promise<Client> {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const code = /<!-- client:start -->\n```js\n([\s\S]*?)```\n<!-- client:end -->/.exec(readme)?.[1] ?? "";
  // Inside the project, so that `socket.io-client` is found.
  const folder = mkdtempSync(join(ROOT, "node_modules/.readme-client-"));
  stopsWithTest(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "client.mjs");
  writeFileSync(file, code);
  return (await import(/* @vite-ignore */ file)) as Client;
}

interface Follower {
  readonly socket: Socket;
  /** Data of messages, and `-3` where message 3 was taken back. */
  readonly seen: unknown[];
  /** `reload`, or the code of a refusal. */
  readonly told: string[];
}

const ROOM = "chat:readme";

/** Follows the room, and waits until it is told the first thing. */
async function start({ follow }: Client, url: string, claims: Parameters<typeof signToken>[0] = {}): Promise<Follower> {
  const seen: unknown[] = [];
  const told: string[] = [];
  const socket = follow(url, await signToken({ rooms: { "chat:*": ["*"] }, ...claims }), ROOM, {
    onMessage: ({ data }) => seen.push(data),
    onRemoved: (seq) => seen.push(`-${seq}`),
    onReload: () => told.push("reload"),
    onRefused: ({ code }) => told.push(code),
  });
  stopsWithTest(() => {
    socket.disconnect();
  });
  await eventually(() => expect(told).toHaveLength(1));
  return { socket, seen, told };
}

const say = (socket: Socket, data: string) => socket.emitWithAck("sendMessage", { room: ROOM, data });

const allSee = (followers: readonly Follower[], messages: readonly string[], withinMs = 5_000) =>
  eventually(() => expect(followers.map(({ seen }) => seen)).toEqual(followers.map(() => messages)), { withinMs });

describeWithRedis("the client of README.md", () => {
  it("follows a room over a lost connection and a killed node, and says who may not", async () => {
    const client = await readmeClient();
    const cluster = await startCluster({ nodes: 2 });
    const [first = "", second = ""] = cluster.urls;
    const ada = await start(client, first);
    const grace = await start(client, second);
    expect(await say(ada.socket, "one")).toMatchObject({ ok: true, seq: 1, duplicate: false });
    expect(await say(grace.socket, "two")).toMatchObject({ ok: true, seq: 2 });
    await allSee([ada, grace], ["one", "two"]);

    grace.socket.io.engine.close();
    expect(await say(ada.socket, "three")).toMatchObject({ ok: true, seq: 3 });
    await allSee([grace], ["one", "two", "three"]);
    await cluster.kill(1);
    await say(ada.socket, "four");
    await cluster.restart(1);
    await allSee([ada, grace], ["one", "two", "three", "four"], 10_000);
    expect([ada.told, grace.told]).toEqual([["reload"], ["reload"]]);

    expect((await start(client, first, { rooms: { "other:*": ["*"] } })).told).toEqual(["forbidden"]);
    expect((await start(client, first, { ttl: -5 })).told).toEqual(["token_expired"]);
  });

  it("reloads after resync, once, also where the connection was lost before it could join again", async () => {
    const client = await readmeClient();
    const cluster = await startCluster({ nodes: 2 });
    const [first = "", second = ""] = cluster.urls;
    const ada = await start(client, first);
    const grace = await start(client, second);
    await say(ada.socket, "one");
    await allSee([ada, grace], ["one"]);

    // A join that waits for its moment must not be sent beside the one of the next connection: it would be superseded.
    let over = Number.POSITIVE_INFINITY;
    grace.socket.on("resync", ({ withinMs }: ServerEvents["resync"]) => {
      over = performance.now() + withinMs;
      grace.socket.io.reconnection(false);
      grace.socket.io.engine.close();
    });
    const redis = rawRedis();
    await redis.del(...(await keysWith(redis, `${cluster.prefix}#/#${ROOM}#`)));
    expect(await say(ada.socket, "two")).toMatchObject({ ok: true, seq: 1 });
    await allSee([ada], ["one", "two"]);
    await eventually(() => expect(performance.now()).toBeGreaterThan(over));
    grace.socket.connect();
    await allSee([grace], ["one", "two"]);
    await say(grace.socket, "three");
    await allSee([ada, grace], ["one", "two", "three"]);
    expect([ada.told, grace.told]).toEqual([
      ["reload", "reload"],
      ["reload", "reload"],
    ]);
  });

  it("shows what was taken back to nobody, and is told of it once, live or after it was away", async () => {
    const client = await readmeClient();
    const cluster = await startCluster({ nodes: 2 });
    const [first = "", second = ""] = cluster.urls;
    const ada = await start(client, first);
    const grace = await start(client, second);
    for (const data of ["one", "two", "three"]) await say(ada.socket, data);
    await allSee([ada, grace], ["one", "two", "three"]);

    grace.socket.disconnect();
    const answer = await apiOf(first)("DELETE", `/rooms/${ROOM}/messages/2`);
    expect(answer.status).toBe(200);
    await allSee([ada], ["one", "two", "three", "-2"]);
    grace.socket.connect();
    await allSee([ada, grace], ["one", "two", "three", "-2"]);
    // From the place of the taking back on: it is not told again.
    ada.socket.disconnect().connect();
    await say(grace.socket, "four");
    await allSee([ada, grace], ["one", "two", "three", "-2", "four"]);
    expect([ada.told, grace.told]).toEqual([["reload"], ["reload"]]);
    await allSee([await start(client, second)], ["one", "three", "-2", "four"]);
  });
});
