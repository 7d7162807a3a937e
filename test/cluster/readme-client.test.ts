import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Socket } from "socket.io-client";
import { expect, it } from "vitest";
import type { Message } from "../../src/protocol.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithRedis } from "../support/redis.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { signToken } from "../support/token.ts";

const ROOT = join(import.meta.dirname, "../..");

interface Client {
  follow(
    url: string,
    token: string,
    room: string,
    on: { onMessage(message: Message): void; onReload(): void; onRefused(error: { code: string }): void },
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

describeWithRedis("the client of README.md", () => {
  it("follows a room over a lost connection and a killed node, and says who may not", async () => {
    const { follow } = await readmeClient();
    const cluster = await startCluster({ nodes: 2 });
    const [first = "", second = ""] = cluster.urls;
    const start = async (url: string, rooms: Record<string, string[]> = { "chat:*": ["*"] }) => {
      const seen: unknown[] = [];
      const told: string[] = [];
      const socket = follow(url, await signToken({ rooms }), "chat:readme", {
        onMessage: ({ data }) => seen.push(data),
        onReload: () => told.push("reload"),
        onRefused: ({ code }) => told.push(code),
      });
      stopsWithTest(() => {
        socket.disconnect();
      });
      await eventually(() => expect(told).toHaveLength(1));
      return { socket, seen, told };
    };
    const ada = await start(first);
    const grace = await start(second);
    const say = (socket: Socket, data: string) => socket.emitWithAck("sendMessage", { room: "chat:readme", data });
    expect(await say(ada.socket, "one")).toMatchObject({ ok: true, seq: 1, duplicate: false });
    expect(await say(grace.socket, "two")).toMatchObject({ ok: true, seq: 2 });
    await eventually(() =>
      expect([ada.seen, grace.seen]).toEqual([
        ["one", "two"],
        ["one", "two"],
      ]),
    );

    grace.socket.io.engine.close();
    expect(await say(ada.socket, "three")).toMatchObject({ ok: true, seq: 3 });
    await eventually(() => expect(grace.seen).toEqual(["one", "two", "three"]));
    await cluster.kill(1);
    await say(ada.socket, "four");
    await cluster.restart(1);
    await eventually(() => expect(grace.seen).toEqual(["one", "two", "three", "four"]), { withinMs: 10_000 });
    expect(grace.told).toEqual(["reload"]);

    const stranger = await start(first, { "other:*": ["*"] });
    expect(stranger.told).toEqual(["forbidden"]);
  });
});
