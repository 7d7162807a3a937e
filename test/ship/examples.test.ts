import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { onPath } from "../../src/local/run-command.ts";
import { connectClient } from "../support/client.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { startProgram } from "../support/program.ts";
import { describeWithRedis } from "../support/redis.ts";
import { redisUrl } from "../support/run-redis.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { API_KEY, JWT_SECRET, signToken } from "../support/token.ts";
import { connectWitness } from "../support/witness.ts";

const EXAMPLES = join(import.meta.dirname, "../../examples");
const ROOM = "chat:general";
const python = await onPath("python3");

/** What the clients of every step have in common. */
interface Chat {
  readonly socket: { readonly connected: boolean; readonly io: { readonly engine: { close(): void } } };
  say(text: string): Promise<{ error?: string }>;
  typing(): void;
  leave(): void;
}
interface ClientModule {
  enterChat(
    url: string,
    token: string,
    room: string,
    heard: { onText(user: string, text: string): void; onTyping(user: string): void },
  ): Chat;
}

async function start(script: string, prefix = `t${randomUUID().slice(0, 8)}`) {
  const env = {
    PORT: "0",
    ADMIN_PORT: "0",
    REDIS_URL: redisUrl(),
    REDIS_PREFIX: prefix,
    JWT_SECRET,
    DRAIN_SECONDS: "0",
    LOG_LEVEL: "warn",
  };
  const program = startProgram([join(EXAMPLES, script)], { env });
  const [, port] = await program.until(/^listening on (\d+)$/);
  return { program, prefix, url: `http://127.0.0.1:${port}` };
}

/** A client of the example, and what it heard: `ada: hello`, `ada types`. Its token knows nothing of rooms. */
async function enter(script: string, url: string, user: string) {
  const { enterChat } = (await import(pathToFileURL(join(EXAMPLES, script)).href)) as ClientModule;
  const heard: string[] = [];
  const chat = enterChat(url, await signToken({ sub: user, rooms: {} }), ROOM, {
    onText: (from, text) => heard.push(`${from}: ${text}`),
    onTyping: (from) => heard.push(`${from} types`),
  });
  stopsWithTest(() => chat.leave());
  await eventually(() => expect(chat.socket.connected).toBe(true));
  return { chat, heard };
}

const STEPS = [
  { title: "0: two stock nodes", servers: ["0-stock", "0-stock"], clients: ["0-stock", "0-stock"] },
  { title: "1: a stock node and one of step 1", servers: ["0-stock", "1-embedded"], clients: ["0-stock", "0-stock"] },
  { title: "2: an old client and a new one", servers: ["2-log", "2-log"], clients: ["0-stock", "3-rooms"] },
  { title: "3: new clients", servers: ["3-rooms", "3-rooms"], clients: ["3-rooms", "3-rooms"] },
] as const;

describeWithRedis("examples/from-socket.io", () => {
  for (const { title, servers, clients } of STEPS) {
    it(`step ${title}: everybody hears each other`, async () => {
      const first = await start(`from-socket.io/${servers[0]}-server.js`);
      const second = await start(`from-socket.io/${servers[1]}-server.js`, first.prefix);
      expect((await fetch(`${second.url}/health`)).status).toBe(200);
      const ada = await enter(`from-socket.io/${clients[0]}-client.js`, first.url, "ada");
      const bob = await enter(`from-socket.io/${clients[1]}-client.js`, second.url, "bob");
      // The stock adapter subscribes without waiting: each tries until the other hears it.
      await eventually(async () => {
        await ada.chat.say("is anybody there?");
        await bob.chat.say("is anybody there?");
        // At most once: a message that is heard may have been read from the log, and says nothing of the subscription.
        ada.chat.typing();
        bob.chat.typing();
        expect(ada.heard).toEqual(expect.arrayContaining(["bob: is anybody there?", "bob types"]));
        expect(bob.heard).toEqual(expect.arrayContaining(["ada: is anybody there?", "ada types"]));
      });
      expect(await ada.chat.say("  hello  ")).toEqual({});
      expect(await bob.chat.say("hi")).toEqual({});
      expect(await ada.chat.say("   ")).toEqual({ error: "say something" });
      await eventually(() => {
        for (const { heard } of [ada, bob]) expect(heard).toEqual(expect.arrayContaining(["ada: hello", "bob: hi"]));
      });
      for (const { heard } of [ada, bob]) expect(heard.filter((line) => line === "ada: hello")).toHaveLength(1);
      for (const { program } of [first, second]) expect(await program.stop()).toBe(0);
    });
  }

  it("from step 2 on a client that was away hears what was said meanwhile, once and in order", async () => {
    const { url } = await start("from-socket.io/3-rooms-server.js");
    const ada = await enter("from-socket.io/3-rooms-client.js", url, "ada");
    const bob = await enter("from-socket.io/3-rooms-client.js", url, "bob");
    await ada.chat.say("1");
    await eventually(() => expect(bob.heard).toEqual(["ada: 1"]));
    bob.chat.socket.io.engine.close();
    for (const text of ["2", "3"]) await ada.chat.say(text);
    await eventually(() => expect(bob.heard).toEqual(["ada: 1", "ada: 2", "ada: 3"]));
    await bob.chat.say("4");
    await eventually(() => expect(ada.heard).toEqual(["ada: 1", "ada: 2", "ada: 3", "bob: 4"]));
  });
});

describeWithRedis("examples/express", () => {
  it("logs in, decides by its own data who sees a ticket, closes it, and has an event of its own", async () => {
    const { url, program } = await start("express/server.js");
    const logIn = async (user: string) => {
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`${url}/login`, { method: "POST", headers, body: JSON.stringify({ user }) });
      return await connectWitness(url, { token: ((await answer.json()) as { token: string }).token });
    };
    const [ada, agent, eve] = [await logIn("ada"), await logIn("agent-7"), await logIn("eve")];
    expect(await ada.socket.emitWithAck("myTickets")).toEqual(["7"]);
    for (const witness of [ada, agent]) await witness.ok("joinRoom", { room: "ticket:7" });
    expect((await eve.refused("joinRoom", { room: "ticket:7" })).error.code).toBe("forbidden");
    await ada.ok("sendMessage", { room: "ticket:7", data: { text: "it burns", html: "<b>" } });
    expect(await (await fetch(`${url}/tickets/7/online`)).json()).toEqual(["ada", "agent-7"]);
    expect((await fetch(`${url}/tickets/7/close`, { method: "POST" })).status).toBe(200);
    expect((await ada.refused("sendMessage", { room: "ticket:7", data: {} })).error.message).toBe(
      "the ticket is closed",
    );
    await eventually(() => {
      const seen = agent.of("message").map(({ event, data }) => ({ event, data }));
      expect(seen).toEqual([
        { event: "message", data: { text: "it burns" } },
        { event: "closed", data: null },
      ]);
    });
    expect(await program.stop()).toBe(0);
  });
});

describeWithRedis("examples/http", () => {
  describe.skipIf(python === undefined)(
    python === undefined ? "skipped: no python3 on the PATH" : "with python3",
    () => {
      it("shop.py sends, once and to many, reads pages, and tells what is wrong", async () => {
        const cluster = await startCluster({ nodes: 2 });
        const ada = await connectWitness(cluster.urls[1] ?? "", { claims: { sub: "ada" } });
        for (const room of ["order:1001", "user:ada", "order:250"]) await ada.ok("joinRoom", { room });
        const program = startProgram([join(EXAMPLES, "http/shop.py")], {
          command: python ?? "",
          env: { ROOMCAST_URL: cluster.urls[0] ?? "", API_KEY },
        });
        expect(await program.done).toBe(0);
        await program.until(/^done$/);
        expect(program.lines).toEqual([
          "order:1001 has seq 1, again: duplicate True",
          "sent 250 of 250",
          "refused: bad_request: data is required",
          "history: paid",
          "online: ada",
          "done",
        ]);
        await eventually(() => {
          expect(
            ada
              .of("message")
              .map(({ event }) => event)
              .sort(),
          ).toEqual(["notice", "paid", "shipped"]);
          expect(ada.of("removed")).toEqual([{ room: "order:1001", reason: "kicked" }]);
        });
        await connectClient(cluster.urls[0] ?? "", await signToken());
      });
    },
  );
});
