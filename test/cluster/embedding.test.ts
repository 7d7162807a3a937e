import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import express from "express";
import { Manager } from "socket.io-client";
import { expect, it } from "vitest";
import { makeCertificates, noCertificates } from "../support/certificates.ts";
import { connectClient, stockClient, TRANSPORTS } from "../support/client.ts";
import { embed, startEmbedded } from "../support/embedded.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithRedis } from "../support/redis.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { API_KEY, signToken } from "../support/token.ts";
import { connectWitness, type Witness } from "../support/witness.ts";

const ROOM = "chat:embedded";
const certificatesMissing = await noCertificates();

/** An application as there are many: its own routes, answers and errors. */
function ownApp() {
  const app = express();
  app.get("/hello", (_request, response) => {
    response.json({ hello: "world" });
  });
  return app;
}

describeWithRedis("an application that embeds a node", () => {
  it("[G2] keeps its server, its routes, its events, its namespaces and its middlewares", async () => {
    const app = ownApp();
    const server = createServer(app);
    const first = await startEmbedded({ server, app });
    const second = await startEmbedded({ prefix: first.prefix });
    app.use((_request, response) => {
      response.status(418).json({ from: "the application" });
    });
    const { io } = first.node;
    io.use((socket, next) => {
      socket.data.name = first.node.identityOf(socket).user;
      setTimeout(next, 5);
    });
    io.on("connection", (socket) => {
      socket.on("whoami", (ack: (name: string) => void) => ack(socket.data.name));
    });
    const admin = io.of("/admin");
    admin.use((socket, next) => next(socket.handshake.auth.password === "sesame" ? undefined : new Error("no")));
    admin.on("connection", (socket) => socket.on("ping", (ack: (text: string) => void) => ack("pong")));

    expect(await (await fetch(`${first.url}/hello`)).json()).toEqual({ hello: "world" });
    expect((await fetch(`${first.url}/elsewhere`)).status).toBe(418);
    expect((await fetch(`${first.url}/`)).status).toBe(418);
    expect(await first.api("GET", "/nowhere")).toMatchObject({ status: 404, body: { code: "not_found" } });

    const ada = await connectWitness(first.url, { claims: { sub: "ada" } });
    expect(await ada.socket.emitWithAck("whoami")).toBe("ada");
    const bob = await connectWitness(second.url, { claims: { sub: "bob" } });
    for (const witness of [ada, bob]) await witness.ok("joinRoom", { room: ROOM });
    await ada.ok("sendMessage", { room: ROOM, id: "1", data: "by a client" });
    await first.node.rooms.send(ROOM, { id: "2", data: "by the application", from: { id: "bot" } });
    expect((await first.api("POST", `/rooms/${ROOM}/messages`, { body: { id: "3", data: "by /v1" } })).status).toBe(
      201,
    );
    io.to(ROOM).emit("own", "at most once");
    await eventually(() => {
      for (const witness of [ada, bob]) {
        expect(witness.of("message").map(({ id }) => id)).toEqual(["1", "2", "3"]);
        expect(witness.seen).toContainEqual({ name: "own", payload: "at most once" });
      }
    });

    const guest = stockClient(`${first.url}/admin`, "", { auth: { password: "sesame" }, transports: ["websocket"] });
    guest.connect();
    expect(await guest.timeout(5_000).emitWithAck("ping")).toBe("pong");
    const stranger = stockClient(`${first.url}/admin`, "", { transports: ["websocket"] });
    const refused = Promise.withResolvers<Error>();
    stranger.once("connect_error", refused.resolve);
    stranger.connect();
    expect((await refused.promise).message).toBe("no");

    await first.node.stop();
    expect(server.listening).toBe(false);
  });

  it("[G7] a session's headers are its own: other namespaces and a second try see them, and other nodes no token", async () => {
    const { url, node } = await startEmbedded();
    node.io.of("/admin").use(({ handshake }, next) => {
      next(handshake.headers.authorization === undefined ? new Error("no header") : undefined);
    });
    let refusals = 1;
    node.io.use((_socket, next) => {
      refusals -= 1;
      next(refusals >= 0 ? new Error("not now") : undefined);
    });
    const extraHeaders = { Authorization: `Bearer ${await signToken({ sub: "ada" })}` };
    const manager = new Manager(url, { transports: ["websocket"], extraHeaders, autoConnect: false });
    stopsWithTest(() => manager._close());
    const [main, admin] = [manager.socket("/"), manager.socket("/admin")];
    const events: string[] = [];
    for (const socket of [main, admin]) socket.on("connect_error", ({ message }) => events.push(message));
    admin.on("connect", () => events.push("admin"));
    main.on("welcome", () => events.push("welcome"));
    // One session from here on: it lives as long as one of its namespaces does.
    const wanted: string[] = [];
    const connect = async (socket: typeof main, outcome: string) => {
      socket.connect();
      wanted.push(outcome);
      await eventually(() => expect(events).toEqual(wanted));
    };
    await connect(admin, "admin");
    await connect(main, "not now");
    await connect(main, "welcome");
    admin.disconnect();
    await eventually(() => expect(node.io.of("/admin").sockets.size).toBe(0));
    await connect(admin, "admin");
    const [seen] = await node.io.fetchSockets();
    expect(seen?.handshake.headers).toMatchObject({ host: new URL(url).host });
    expect(JSON.stringify(seen?.handshake)).not.toContain("Bearer");
  });

  it("messages go past the engine on a server of the application's too, and polling clients hear them", async () => {
    const server = createServer(ownApp());
    const app = ownApp();
    const { node, url } = await startEmbedded({ server, app });
    const packets: string[] = [];
    node.io.on("connection", ({ conn }) => {
      conn.on("packetCreate", (packet: { data?: unknown }) => {
        if (String(packet.data).includes('"message"')) packets.push(conn.transport.name);
      });
    });
    const witnesses: Witness[] = [];
    for (const transports of Object.values(TRANSPORTS)) {
      const witness = await connectWitness(url, { transports });
      await witness.ok("joinRoom", { room: ROOM });
      witnesses.push(witness);
    }
    const upgraded = () => expect(witnesses.at(-1)?.socket.io.engine.transport.name).toBe("websocket");
    await eventually(upgraded);
    packets.length = 0;
    for (const id of ["1", "2", "3"]) await node.rooms.send(ROOM, { id, data: id });
    await eventually(() => {
      for (const witness of witnesses) expect(witness.of("message").map(({ id }) => id)).toEqual(["1", "2", "3"]);
    });
    expect(new Set(packets)).toEqual(new Set(["polling"]));
  });

  it.skipIf(certificatesMissing)(
    `on https, by a server of the application's ${certificatesMissing ?? ""}`,
    async () => {
      const certificates = await makeCertificates();
      const [cert, key, ca] = await Promise.all(
        [certificates.server.cert, certificates.server.key, certificates.ca].map((path) => readFile(path)),
      );
      const server = createSecureServer({ cert, key });
      const { node, url } = await startEmbedded({ server });
      const secure = url.replace("http:", "https:");
      for (const transports of Object.values(TRANSPORTS)) {
        const { socket } = await connectClient(secure, await signToken(), { transports, ca: ca?.toString() ?? "" });
        const heard: unknown[] = [];
        socket.on("message", ({ data }) => heard.push(data));
        await socket.emitWithAck("joinRoom", { room: ROOM });
        await node.rooms.send(ROOM, { data: "by TLS" });
        await eventually(() => expect(heard).toEqual(["by TLS"]));
      }
    },
  );

  it("takes nobody in before it has started, also where its server listens already", async () => {
    const server = createServer(ownApp());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { node } = embed({ server, app: ownApp() });
    const early = await fetch(`${url}/socket.io/?EIO=4&transport=polling`);
    expect(early.status).toBe(503);
    expect(await early.json()).toMatchObject({ code: "unavailable", retryable: true });
    const client = stockClient(url, await signToken(), { transports: ["websocket"], reconnectionDelay: 20 });
    client.connect();
    await new Promise<void>((resolve) => client.io.once("error", () => resolve()));
    await node.start();
    await eventually(() => expect(client.connected).toBe(true));
  });

  it("is told where /v1 has no place, and which options do not go together", () => {
    expect(() => embed({ server: createServer(ownApp()) })).toThrow("/v1 has no place");
    expect(() => embed({ hookTimeoutMs: 1_900 })).toThrow("hookTimeoutMs must be more than 0 and less than 1900");
    const env = { AUTHORIZE_URL: "http://127.0.0.1:1", AUTHORIZE_SECRET: "s".repeat(32) };
    expect(() => embed({ env, hooks: { authorize: () => false } })).toThrow("exclude each other");
    embed({ server: createServer(ownApp()), env: { API_PORT: "0" } });
  });

  it("[G9] its listener of connect may disconnect at once, and no place is lost by that", async () => {
    const { url, node } = await startEmbedded({ env: { MAX_CONNECTIONS_PER_USER: "1" } });
    let times = 0;
    node.io.of("/").on("connect", (socket) => {
      times += 1;
      if (times <= 3) socket.disconnect();
    });
    for (const expected of [1, 2, 3]) {
      const ada = stockClient(url, await signToken({ sub: "ada" }), { reconnection: false });
      ada.connect();
      await eventually(() => expect(times).toBe(expected));
      ada.close();
    }
    await eventually(() => connectWitness(url, { claims: { sub: "ada" }, reconnection: false }));
  });

  it("[G9] its middlewares may refuse and never answer, and no place is lost by that", async () => {
    const { node, url } = await startEmbedded({ env: { MAX_CONNECTIONS_PER_USER: "2" } });
    node.io.use((socket, next) => {
      if (socket.handshake.auth.mood === "bad") setTimeout(next, 5, new Error("not today"));
      else if (socket.handshake.auth.mood !== "silent") setTimeout(next, 5);
    });
    const token = await signToken({ sub: "ada" });
    const client = (mood: string) => stockClient(url, "", { auth: { token, mood }, transports: ["websocket"] });
    for (let i = 0; i < 4; i++) {
      const refused = client("bad");
      const reason = new Promise<Error>((resolve) => refused.once("connect_error", resolve));
      refused.connect();
      expect((await reason).message).toBe("not today");
      // Again by the same transport, which a handshake that never ended would not let.
      const again = new Promise<Error>((resolve) => refused.once("connect_error", resolve));
      refused.connect();
      expect((await again).message).toBe("not today");
      refused.disconnect();
    }
    for (let i = 0; i < 2; i++) {
      const silent = client("silent");
      silent.connect();
      await eventually(() => expect(silent.io.engine?.readyState).toBe("open"));
      silent.disconnect();
    }
    await eventually(async () => {
      await connectClient(url, token);
    });
    await connectClient(url, token);
    await expect(connectClient(url, token)).rejects.toMatchObject({ data: { code: "too_many_connections" } });
  });

  it("[G9] sessions of its own namespaces are no strangers at the door", async () => {
    const { node, url } = await startEmbedded({ env: { MAX_HANDSHAKES: "1" } });
    node.io.of("/admin");
    for (let i = 0; i < 3; i++) {
      const guest = stockClient(`${url}/admin`, "", { transports: ["websocket"] });
      guest.connect();
      await eventually(() => expect(guest.connected).toBe(true));
    }
    await connectClient(url, await signToken());
  });

  it("has rooms of its own code: messages, signals, history, members, kicks, and errors that name the field", async () => {
    const { node, url, api } = await startEmbedded();
    const { rooms } = node;
    const ada = await connectWitness(url, { claims: { sub: "ada", name: "Ada" } });
    await ada.ok("joinRoom", { room: ROOM });
    const sent = await rooms.send(ROOM, { id: "1", data: { n: 1 }, event: "invoice" });
    expect(sent).toEqual({ id: "1", seq: 1, ts: expect.any(Number), duplicate: false });
    expect(await rooms.send(ROOM, { id: "1", data: 2 })).toEqual({ ...sent, duplicate: true });
    expect((await api("POST", `/rooms/${ROOM}/messages`, { body: { id: "1", data: 3 } })).body.duplicate).toBe(false);
    await rooms.signal(ROOM, { event: "typing", data: true });
    await eventually(() => {
      expect(ada.of("signal")).toEqual([{ room: ROOM, from: { id: "server" }, event: "typing", data: true }]);
      expect(ada.of("message")).toHaveLength(2);
    });
    const from = { id: "server" };
    const first = { seq: 1, ts: sent.ts, room: ROOM, id: "1", from, event: "invoice", data: { n: 1 } };
    expect(await rooms.history(ROOM, { before: 2 })).toMatchObject({ messages: [first], more: false });
    expect(await rooms.members(ROOM)).toMatchObject({ members: [{ id: "ada", name: "Ada" }], memberCount: 1 });
    const { until } = await rooms.kick(ROOM, "ada", { banSeconds: 60 });
    await eventually(() => expect(ada.of("removed")).toEqual([{ room: ROOM, reason: "banned", until }]));

    const wrong: [Promise<unknown>, string, string][] = [
      [rooms.send("a b", { data: 1 }), "bad_request", "room must not contain white space"],
      [rooms.send(ROOM, {} as { data: unknown }), "bad_request", "data is required"],
      [rooms.send(ROOM, { data: "x".repeat(70_000) }), "payload_too_large", "data has 70002 bytes"],
      [rooms.send(ROOM, { data: { id: 10n } }), "bad_request", "data must be JSON"],
      [rooms.send(ROOM, { data: () => 1 }), "bad_request", "data must be JSON"],
      [rooms.send(ROOM, { data: { toJSON: () => undefined } }), "bad_request", "data must be JSON"],
      [rooms.signal(ROOM, { event: "" }), "bad_request", "event must be 1 to 128 bytes"],
      [rooms.history(ROOM, { limit: 501 }), "bad_request", "limit must be at most 500"],
      [rooms.members(ROOM, { limit: 0 }), "bad_request", "limit must be at least 1"],
      [rooms.kick(ROOM, "ada", { banSeconds: 0 }), "bad_request", "banSeconds must be at least 1"],
    ];
    for (const [call, code, message] of wrong) {
      await expect(call).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    }
    expect(
      (await fetch(`${url}/v1/rooms/${ROOM}/messages`, { headers: { authorization: `Bearer ${API_KEY}` } })).status,
    ).toBe(200);
  });
});
