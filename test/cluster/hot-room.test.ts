import type { Socket } from "socket.io-client";
import { expect, it } from "vitest";
import type { Ack, Message, WirePosition } from "../../src/protocol.ts";
import { stockClient } from "../support/client.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/private-redis.ts";
import { rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { startRedisProxy } from "../support/redis-proxy.ts";
import { signToken } from "../support/token.ts";
import { connectWitness } from "../support/witness.ts";

const ROOM = "chat:hot";
const CLIENTS = 1_000;
const AT_A_TIME = 100;
/** More than an ack holds: two pages. */
const MISSED = 600;
const PAGE = 500;
/** Redis is far away, so that everybody asks before the first answer is there. */
const FAR_MS = 200;
/** Pages that one by one would have been two for each client. */
const MOST_READS = 100;

interface Returning {
  readonly socket: Socket;
  next: number;
  recovered: boolean;
  firstPage: number;
}

/** Joins again from a place, and checks that each message comes once, in order. */
function comeBack(client: Returning, since: WirePosition): void {
  const take = ({ seq }: Message) => {
    if (seq !== client.next) throw new Error(`message ${seq} where ${client.next} was due`);
    client.next += 1;
  };
  client.next = since.seq + 1;
  client.socket.on("message", take);
  client.socket.emit("joinRoom", { room: ROOM, since }, (ack: Ack<"joinRoom">) => {
    if (!ack.ok) throw new Error(ack.error.code);
    client.recovered = ack.recovered;
    client.firstPage = ack.messages.length;
    for (const message of ack.messages) take(message);
  });
}

describeWithRedis("a thousand clients that come back to one room at once", () => {
  it("[G3] share the reading of what they missed, page by page, and each gets it whole", async () => {
    const server = await startRedis();
    const proxy = await startRedisProxy(server.port);
    const cluster = await startCluster({
      nodes: 1,
      env: { REDIS_URL: proxy.url, RATE_LIMITS: "off", REQUEST_TIMEOUT_MS: "60000" },
    });
    const url = cluster.urls[0] ?? "";
    const talker = await connectWitness(url);
    const { position } = await talker.ok("joinRoom", { room: ROOM });
    for (let index = 0; index < MISSED; index++) await talker.ok("sendMessage", { room: ROOM, data: index });

    const clients: Returning[] = [];
    for (let start = 0; start < CLIENTS; start += AT_A_TIME) {
      const come = Array.from({ length: AT_A_TIME }, async (_, index) => {
        const token = await signToken({ sub: `u${start + index}` });
        const socket = stockClient(url, token, { transports: ["websocket"] });
        const welcome = new Promise((resolve) => socket.once("welcome", resolve));
        socket.connect();
        await welcome;
        clients.push({ socket, next: 0, recovered: false, firstPage: 0 });
      });
      await Promise.all(come);
    }
    const redis = rawRedis(server.url);
    proxy.slow(FAR_MS);
    await redis.config("RESETSTAT");
    for (const client of clients) comeBack(client, position);
    await eventually(() => expect(clients.filter(({ next }) => next <= MISSED)).toEqual([]), { withinMs: 40_000 });
    for (const { recovered, firstPage } of clients)
      expect({ recovered, firstPage }).toEqual({ recovered: true, firstPage: PAGE });
    const calls = /cmdstat_evalsha_ro:calls=(\d+)/.exec(await redis.info("commandstats"))?.[1];
    expect(Number(calls)).toBeGreaterThanOrEqual(2);
    expect(Number(calls)).toBeLessThan(MOST_READS);
    // And they are live: the next message reaches all of them.
    await talker.ok("sendMessage", { room: ROOM, data: "live" });
    await eventually(() => expect(clients.filter(({ next }) => next !== MISSED + 2)).toEqual([]));
  });
});
