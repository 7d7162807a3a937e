import { createHmac } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { signToken } from "../support/token.ts";
import { connectWitness, type Witness } from "../support/witness.ts";

const SECRET = "a-secret-that-signs-questions-0123456789";
const ROOM = "deal:1";

interface Asked {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** What the application's server says: permissions and for how long, a status, or nothing ever. */
type Says = { permissions: string[]; holdSeconds?: number } | number | "nothing" | "a redirect" | "no end";

/** An application's server that says what the test tells it to. */
async function startApplication(says: Says) {
  const application = { says: says as Says, asked: [] as Asked[], url: "" };
  const listener: RequestListener = (request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (text: string) => {
      body += text;
    });
    request.on("end", () => {
      application.asked.push({ headers: request.headers, body });
      const { says: now } = application;
      if (now === "nothing") return;
      if (now === "no end") {
        response.writeHead(200, { "content-type": "application/json" });
        const more = setInterval(() => response.write(" ".repeat(4_096)), 1);
        response.on("close", () => clearInterval(more));
      } else if (now === "a redirect") response.writeHead(307, { location: "http://127.0.0.1:1/" }).end();
      else if (typeof now === "number") response.writeHead(now).end("no");
      else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(now));
    });
  };
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  };
  stopsWithTest(close);
  application.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/may`;
  return { application, close };
}

async function startAsking(url: string, env: Record<string, string> = {}): Promise<TestCluster> {
  return await startCluster({
    nodes: 1,
    env: { REDIS_URL: "memory:", AUTHORIZE_URL: url, AUTHORIZE_SECRET: SECRET, AUTHORIZE_TIMEOUT_MS: "400", ...env },
  });
}

const connect = (cluster: TestCluster, sub = "ada", rooms: Record<string, string[]> = {}): Promise<Witness> =>
  connectWitness(cluster.urls[0] ?? "", { claims: { sub, rooms } });

describe("whoever wants into a room that the token says nothing of, where AUTHORIZE_URL is set", () => {
  it("[G7] gets what the application allows, and no more; each question is signed", async () => {
    const { application } = await startApplication({ permissions: ["join", "send"] });
    const cluster = await startAsking(application.url);
    const ada = await connect(cluster);
    await ada.ok("joinRoom", { room: ROOM });
    await ada.ok("sendMessage", { room: ROOM, data: 1 });
    for (const [name, payload] of [
      ["sendSignal", { room: ROOM, event: "e" }],
      ["getHistory", { room: ROOM }],
      ["joinRoom", { room: ROOM, history: 5 }],
    ] as const) {
      expect((await ada.refused(name, payload)).error).toMatchObject({ code: "forbidden", retryable: false });
    }
    expect(application.asked).toHaveLength(1);
    const [{ headers, body }] = application.asked as [Asked];
    expect(JSON.parse(body)).toEqual({ user: "ada", room: ROOM, permission: "join" });
    const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    expect(headers["webhook-signature"]).toBe(`v1,${createHmac("sha256", SECRET).update(signed).digest("base64")}`);
    expect(Math.abs(Number(headers["webhook-timestamp"]) - Date.now() / 1_000)).toBeLessThan(5);
  });

  it("[G7] is not asked about where the token covers the room: its word stands", async () => {
    const { application } = await startApplication({ permissions: ["*"] });
    const cluster = await startAsking(application.url);
    const ada = await connect(cluster, "ada", { "deal:*": ["join"] });
    await ada.ok("joinRoom", { room: ROOM });
    expect((await ada.refused("sendMessage", { room: ROOM, data: 1 })).error.code).toBe("forbidden");
    expect((await ada.refused("getHistory", { room: ROOM })).error.code).toBe("forbidden");
    expect(application.asked).toEqual([]);
  });

  for (const says of [403, { permissions: [] }] satisfies Says[]) {
    it(`[G7] a no is forbidden, asked once for all who try meanwhile, and leaves nothing (${JSON.stringify(says)})`, async () => {
      const { application } = await startApplication(says);
      const cluster = await startAsking(application.url);
      const [ada, again] = [await connect(cluster), await connect(cluster)];
      for (const [name, payload] of [
        ["joinRoom", { room: ROOM }],
        ["getHistory", { room: ROOM }],
        ["getMembers", { room: ROOM }],
        ["joinRoom", { room: ROOM, since: { epoch: "e", seq: 1 } }],
      ] as const) {
        for (const one of [ada, again]) {
          const { error } = await one.refused(name, payload);
          expect(error.code).toBe("forbidden");
          expect(error.message).toContain("the application allows no");
        }
      }
      expect((await ada.refused("sendMessage", { room: ROOM, data: 1 })).error.code).toBe("forbidden");
      expect(application.asked).toHaveLength(1);
    });
  }

  for (const says of ["nothing", 500, 200, "a redirect", "no end"] as const) {
    it(`[G7] is let in by no server that answers ${says}: unavailable within 2 s, and in once it answers`, async () => {
      const { application } = await startApplication(says);
      const cluster = await startAsking(application.url);
      const ada = await connect(cluster);
      const started = performance.now();
      for (const name of ["joinRoom", "getHistory"] as const) {
        expect((await ada.refused(name, { room: ROOM })).error).toMatchObject({ code: "unavailable", retryable: true });
      }
      expect(performance.now() - started).toBeLessThan(2_000);
      application.says = { permissions: ["*"] };
      await eventually(() => ada.ok("joinRoom", { room: ROOM }));
      expect(cluster.logs(0).filter((line) => line.includes("the application's server does not decide"))).toHaveLength(
        1,
      );
    });
  }

  it("[G7] is out once the application says no, without asking for anything", async () => {
    const { application } = await startApplication({ permissions: ["*"], holdSeconds: 1 });
    const cluster = await startAsking(application.url);
    const ada = await connect(cluster);
    await ada.ok("joinRoom", { room: ROOM });
    // It is asked again before the end, and a member notices nothing of that.
    await eventually(() => expect(application.asked.length).toBeGreaterThan(2));
    await ada.ok("sendMessage", { room: ROOM, data: 1 });
    expect(ada.of("removed")).toEqual([]);
    application.says = { permissions: ["history"] };
    await eventually(() => expect(ada.of("removed")).toEqual([{ room: ROOM, reason: "forbidden" }]));
    expect((await ada.refused("setState", { room: ROOM, state: {} })).error.code).toBe("not_in_room");
  });

  it("[G7] is out once the application cannot be asked any more, and not before what it allowed has ended", async () => {
    const { application, close } = await startApplication({ permissions: ["*"], holdSeconds: 2 });
    const cluster = await startAsking(application.url);
    const ada = await connect(cluster);
    await ada.ok("joinRoom", { room: ROOM });
    await close();
    await ada.ok("sendMessage", { room: ROOM, data: 1 });
    await eventually(() => expect(ada.of("removed")).toEqual([{ room: ROOM, reason: "forbidden" }]));
    await ada.refused("joinRoom", { room: ROOM });
  });

  it("[G7] is out when what it allowed has ended, however long the question may still take", async () => {
    const { application } = await startApplication({ permissions: ["*"], holdSeconds: 3 });
    const cluster = await startAsking(application.url, { AUTHORIZE_TIMEOUT_MS: "25000", REQUEST_TIMEOUT_MS: "30000" });
    const ada = await connect(cluster);
    await ada.ok("joinRoom", { room: ROOM });
    application.says = "nothing";
    await eventually(() => expect(ada.of("removed")).toEqual([{ room: ROOM, reason: "forbidden" }]), {
      withinMs: 6_000,
    });
  });

  it("[G7] stays in, and asks no more, once the token covers the room: its word stands", async () => {
    const { application, close } = await startApplication({ permissions: ["*"], holdSeconds: 1 });
    const cluster = await startAsking(application.url);
    const ada = await connect(cluster);
    await ada.ok("joinRoom", { room: ROOM });
    await ada.ok("renewToken", { token: await signToken({ sub: "ada", rooms: { "deal:*": ["join", "send"] } }) });
    await close();
    const asked = application.asked.length;
    const ben = await connect(cluster, "ben");
    // By then what ada was allowed has ended twice.
    await delay(2_500);
    expect(ada.of("removed")).toEqual([]);
    await ada.ok("sendMessage", { room: ROOM, data: 1 });
    expect(application.asked).toHaveLength(asked);
    // And out with the token, since nothing of the grant is left.
    await ada.ok("renewToken", { token: await signToken({ sub: "ada", rooms: {} }) });
    await eventually(() => expect(ada.of("removed")).toEqual([{ room: ROOM, reason: "forbidden" }]));
    expect((await ben.refused("joinRoom", { room: ROOM })).error.code).toBe("unavailable");
  });

  it("[G3] is out after leaveRoom, also where that came while the application was being asked", async () => {
    const { application } = await startApplication("nothing");
    const cluster = await startAsking(application.url);
    const ada = await connect(cluster);
    const joining = ada.refused("joinRoom", { room: ROOM });
    await eventually(() => expect(application.asked).toHaveLength(1));
    await ada.ok("leaveRoom", { room: ROOM });
    expect((await joining).error.code).toBe("superseded");
    expect((await ada.refused("leaveRoom", { room: ROOM })).error.code).toBe("not_in_room");
  });

  it("[G2] messages are stored in the order sent, also while the application is asked again", async () => {
    const { application } = await startApplication({ permissions: ["*"], holdSeconds: 1 });
    const cluster = await startAsking(application.url, { RATE_LIMITS: "off" });
    const ada = await connect(cluster);
    await ada.ok("joinRoom", { room: ROOM });
    const sent: Promise<unknown>[] = [];
    const asked = application.asked.length;
    for (let n = 0; application.asked.length < asked + 2; n++) {
      sent.push(ada.ok("sendMessage", { room: ROOM, data: n }));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await Promise.all(sent);
    await eventually(() => expect(ada.of("message", ROOM).map(({ data }) => data)).toEqual(sent.map((_, n) => n)));
  });
});
