import { createServer, type IncomingHttpHeaders, request } from "node:http";
import type { AddressInfo } from "node:net";
import { Server } from "socket.io";
import { io, type Socket } from "socket.io-client";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Balancer, startBalancer } from "../../src/local/balancer.ts";
import { freePort } from "../../src/local/ports.ts";
import { SESSION_IDLE_MS, Sessions, sidOfCookies, sidOfUrl } from "../../src/local/sessions.ts";
import type { Upstream } from "../../src/local/upstream.ts";
import { TRANSPORTS } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";

interface TinyNode extends Upstream {
  /** Headers of the plain requests it received outside Socket.IO. */
  readonly seen: IncomingHttpHeaders[];
  clients(): number;
  connections(): number;
  die(): Promise<void>;
}

/** A Socket.IO server that says its name and echoes. */
async function tinyNode(name: string): Promise<TinyNode> {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer((incoming, response) => {
    seen.push(incoming.headers);
    incoming.resume();
    incoming.on("end", () => response.end(name));
  });
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  const sio = new Server(server, { cookie: { name: "io_sid", path: "/", httpOnly: true } });
  sio.on("connection", (socket) => {
    socket.emit("hello", name);
    socket.on("echo", (data: unknown, answer: (reply: unknown) => void) => answer([name, data]));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const die = async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
    await sio.close();
  };
  onTestFinished(die);
  const connections = () => sockets.size;
  const { port } = server.address() as AddressInfo;
  return { name, port, ready: true, seen, clients: () => sio.engine.clientsCount, connections, die };
}

async function balanced(count: number): Promise<{ balancer: Balancer; nodes: TinyNode[] }> {
  const balancer = await startBalancer({ port: 0 });
  onTestFinished(() => balancer.close());
  const nodes = await Promise.all(Array.from({ length: count }, (_, i) => tinyNode(`tiny-${i + 1}`)));
  for (const node of nodes) balancer.add(node);
  return { balancer, nodes };
}

function client(balancer: Balancer, transports: readonly ("websocket" | "polling")[]): Socket {
  const socket = io(balancer.url, { transports: [...transports], forceNew: true, reconnectionDelay: 20 });
  onTestFinished(() => {
    socket.disconnect();
  });
  return socket;
}

async function connected(socket: Socket): Promise<string> {
  return await new Promise((resolve, reject) => {
    socket.once("hello", resolve);
    socket.once("connect_error", reject);
  });
}

function get(url: string, options: { method?: string; headers?: Record<string, string>; body?: string } = {}) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const outgoing = request(url, { method: options.method ?? "GET", headers: options.headers ?? {} }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    outgoing.once("error", reject);
    outgoing.end(options.body);
  });
}

/** What the balancer answers to a websocket upgrade that it refuses. */
function upgrade(url: string) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const headers = {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "eA==",
    };
    const outgoing = request(url, { headers }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    outgoing.once("upgrade", () => reject(new Error("was upgraded")));
    outgoing.once("error", reject);
    outgoing.end();
  });
}

describe("the local balancer", () => {
  it.each(Object.entries(TRANSPORTS))("keeps clients by %s on their node, and spreads them", async (_, transports) => {
    const { balancer } = await balanced(3);
    const sockets = Array.from({ length: 12 }, () => client(balancer, transports));
    const homes = await Promise.all(sockets.map(connected));
    if (transports.length > 1) {
      await eventually(() => {
        for (const socket of sockets) expect(socket.io.engine.transport.name).toBe("websocket");
      });
    }
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(sockets.map((socket) => socket.timeout(2_000).emitWithAck("echo", round)));
      expect(answers).toEqual(homes.map((home) => [home, round]));
    }
    const perNode = Object.values(Object.groupBy(homes, (home) => home)).map((group) => group?.length);
    expect(perNode).toEqual([4, 4, 4]);
  });

  it("sends new clients where the fewest connections are", async () => {
    const { balancer, nodes } = await balanced(2);
    const [first, second] = nodes as [TinyNode, TinyNode];
    second.ready = false;
    await Promise.all([1, 2, 3].map(() => connected(client(balancer, ["websocket"]))));
    second.ready = true;
    const late = await Promise.all([1, 2, 3].map(() => connected(client(balancer, ["websocket"]))));
    expect(late).toEqual([second.name, second.name, second.name]);
    expect(first.clients()).toBe(3);
  });

  it.each(Object.entries(TRANSPORTS))(
    "lets clients by %s of a dead node start anew elsewhere",
    async (_, transports) => {
      const { balancer, nodes } = await balanced(3);
      const socket = client(balancer, transports);
      const home = await connected(socket);
      const dead = nodes.find((node) => node.name === home);
      if (dead === undefined) throw new Error(`no node ${home}`);
      const again = new Promise((resolve) => socket.once("hello", resolve));
      balancer.remove(dead);
      await dead.die();
      expect(await again).not.toBe(home);
      expect(await socket.timeout(2_000).emitWithAck("echo", 1)).not.toEqual([home, 1]);
    },
  );

  it("answers a session that it does not know, or whose node is gone, with Engine.IO's unknown session", async () => {
    const { balancer, nodes } = await balanced(1);
    const unknown = { status: 400, text: '{"code":1,"message":"Session ID unknown"}' };
    const path = "/socket.io/?EIO=4&transport";
    expect(await get(`${balancer.url}${path}=polling&sid=nobody`)).toEqual(unknown);
    expect(await upgrade(`${balancer.url}${path}=websocket&sid=nobody`)).toEqual(unknown);

    const socket = client(balancer, ["polling"]);
    await connected(socket);
    const sid = socket.io.engine.id;
    await nodes[0]?.die();
    expect(await get(`${balancer.url}${path}=polling&sid=${sid}`)).toEqual(unknown);
    expect(await upgrade(`${balancer.url}${path}=websocket&sid=${sid}`)).toEqual(unknown);
  });

  it("knows no session of a node that was taken out", async () => {
    const { balancer, nodes } = await balanced(1);
    const socket = client(balancer, ["polling"]);
    await connected(socket);
    const url = `${balancer.url}/socket.io/?EIO=4&transport=polling&sid=${socket.io.engine.id}`;
    for (const node of nodes) balancer.remove(node);
    expect(await get(url)).toEqual({ status: 400, text: '{"code":1,"message":"Session ID unknown"}' });
  });

  it("tries another node where one does not take the connection, with the body whole", async () => {
    const { balancer, nodes } = await balanced(1);
    balancer.add({ name: "gone", port: await freePort(), ready: true });
    for (let i = 0; i < 4; i++) {
      expect(await get(balancer.url, { method: "POST", body: "x".repeat(100_000) })).toEqual({
        status: 200,
        text: "tiny-1",
      });
      expect(await connected(client(balancer, ["websocket"]))).toBe("tiny-1");
    }
    await nodes[0]?.die();
    expect((await get(balancer.url)).status).toBe(502);
  });

  it("gives nothing new to a node that is not ready, and keeps its sessions there", async () => {
    const { balancer, nodes } = await balanced(1);
    const socket = client(balancer, ["polling"]);
    await connected(socket);
    for (const node of nodes) node.ready = false;
    expect((await get(balancer.url)).status).toBe(503);
    expect((await upgrade(`${balancer.url}/socket.io/?EIO=4&transport=websocket`)).status).toBe(503);
    expect(await socket.timeout(2_000).emitWithAck("echo", 7)).toEqual(["tiny-1", 7]);
  });

  it("passes the client's Host on and leaves no trace of a proxy", async () => {
    const { balancer, nodes } = await balanced(1);
    await get(balancer.url, { headers: { host: "localhost:3000" } });
    const [headers] = nodes[0]?.seen ?? [];
    expect(headers?.host).toBe("localhost:3000");
    const names = Object.keys(headers ?? {});
    expect(names.filter((name) => /^(x-)?forwarded|^via$|^x-real/.test(name))).toEqual([]);
  });

  it("outlives a malformed address and clients that vanish", async () => {
    const { balancer } = await balanced(1);
    const port = balancer.port;
    await new Promise<void>((resolve) => {
      const half = request({ port, host: "127.0.0.1", method: "POST", headers: { "content-length": "10" } });
      half.once("error", () => resolve());
      half.write("x", () => half.destroy(new Error("gone")));
    });
    const answer = await new Promise<number | undefined>((resolve, reject) => {
      request({ port, host: "127.0.0.1", path: "//" }, (response) => resolve(response.statusCode))
        .once("error", reject)
        .end();
    });
    expect(answer).toBe(200);
  });

  it("ends the nodes' side of every connection when it closes", async () => {
    const { balancer, nodes } = await balanced(1);
    await Promise.all(Object.values(TRANSPORTS).map((transports) => connected(client(balancer, transports))));
    expect(nodes[0]?.clients()).toBe(3);
    await balancer.close();
    const open = () => nodes[0]?.connections();
    await eventually(() => expect(open()).toBe(0));
  });

  it("says that its port is busy by rejecting with EADDRINUSE", async () => {
    const { balancer } = await balanced(0);
    await expect(startBalancer({ port: balancer.port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});

describe("the table of sessions", () => {
  it("drops a session that nobody asked for within the idle time, and no other", () => {
    let now = 0;
    const sessions = new Sessions<string>(() => now);
    sessions.learn("idle", "a");
    sessions.learn("used", "a");
    now = SESSION_IDLE_MS - 1;
    expect(sessions.find("used")).toBe("a");
    now = SESSION_IDLE_MS;
    sessions.learn("new", "b");
    expect(sessions.find("idle")).toBeUndefined();
    expect(sessions.find("used")).toBe("a");
    expect(sessions.size).toBe(2);
  });

  it("forgets every session of a place", () => {
    const sessions = new Sessions<string>();
    sessions.learn("1", "a");
    sessions.learn("2", "b");
    sessions.forget("a");
    expect(sessions.find("1")).toBeUndefined();
    expect(sessions.find("2")).toBe("b");
  });

  it("reads the session from the handshake's cookie and from the address of Engine.IO requests only", () => {
    expect(sidOfCookies(["other=1; Path=/", "io_sid=abc-_1; Path=/; HttpOnly"])).toBe("abc-_1");
    expect(sidOfCookies(["not_io_sid=abc"])).toBeUndefined();
    expect(sidOfCookies(undefined)).toBeUndefined();
    expect(sidOfUrl("/socket.io/?EIO=4&transport=polling&sid=abc")).toBe("abc");
    expect(sidOfUrl("/socket.io/?EIO=4&transport=polling")).toBeUndefined();
    expect(sidOfUrl("/v1/rooms?sid=abc")).toBeUndefined();
    expect(sidOfUrl("//")).toBeUndefined();
  });
});
