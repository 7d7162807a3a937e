import type { Socket } from "socket.io-client";
import { expect, it } from "vitest";
import type { WireError } from "../../src/errors.ts";
import { connectClient, stockClient } from "../support/client.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { metric } from "../support/metric.ts";
import { connectRaw } from "../support/raw-client.ts";
import { describeWithRedis } from "../support/redis.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { signToken } from "../support/token.ts";

const TIMEOUT_MS = 500;

/** How a client that is not there yet fares: `connected`, or the code that it was refused with. */
function outcome(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once("welcome", () => resolve("connected"));
    socket.once("connect_error", (error: Error & { data?: WireError }) => resolve(error.data?.code ?? error.message));
    socket.connect();
  });
}

describeWithRedis("what bounds the connections of a node", () => {
  it("[G9] too_many_connections counts a user's and all, also when they come at once; who goes makes room", async () => {
    const cluster = await startCluster({ nodes: 1, env: { MAX_CONNECTIONS: "5", MAX_CONNECTIONS_PER_USER: "3" } });
    const come = async (sub: string) =>
      stockClient(cluster.urls[0] ?? "", await signToken({ sub }), { transports: ["websocket"], reconnection: false });
    const tally = async (sockets: readonly Socket[]) => (await Promise.all(sockets.map(outcome))).sort();
    const full = "too_many_connections";
    const ada = await Promise.all(Array.from({ length: 6 }, () => come("ada")));
    expect(await tally(ada)).toEqual(["connected", "connected", "connected", full, full, full]);
    const others = await Promise.all(Array.from({ length: 4 }, (_, index) => come(`u${index}`)));
    expect(await tally(others)).toEqual(["connected", "connected", full, full]);
    expect(await metric(cluster, "roomcast_connections")).toBe(5);

    ada.find(({ connected }) => connected)?.disconnect();
    await eventually(async () => expect(await metric(cluster, "roomcast_connections")).toBe(4));
    expect(await outcome(await come("ada"))).toBe("connected");
    expect(await outcome(await come("ada"))).toBe(full);
  });

  it("[G9] a connection that does not authenticate is closed, and others are not", async () => {
    const env = { HANDSHAKE_TIMEOUT_MS: String(TIMEOUT_MS) };
    const cluster = await startCluster({ nodes: 1, env });
    const { socket } = await connectClient(cluster.urls[0] ?? "", await signToken());
    const silent = new WebSocket(`${cluster.urls[0]?.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`);
    stopsWithTest(() => silent.close());
    const opened = Promise.withResolvers<number>();
    const closed = Promise.withResolvers<number>();
    silent.addEventListener("open", () => opened.resolve(performance.now()));
    silent.addEventListener("close", () => closed.resolve(performance.now()));
    const lived = (await closed.promise) - (await opened.promise);
    expect(lived).toBeGreaterThan(TIMEOUT_MS / 2);
    expect(lived).toBeLessThan(10 * TIMEOUT_MS);
    expect(socket.connected).toBe(true);
  });

  it("[G9] who leaves with the token and keeps the session is a stranger again, and is closed; who comes back into it stays", async () => {
    const env = { HANDSHAKE_TIMEOUT_MS: String(TIMEOUT_MS) };
    const cluster = await startCluster({ nodes: 1, env });
    const [token, url = ""] = [await signToken(), cluster.urls[0]];
    const [stranger, returning] = [await connectRaw(url, token), await connectRaw(url, token)];
    for (const client of [returning, stranger]) client.send("41");
    // A connect in the same chunk as the disconnect is one too many for Socket.IO.
    await eventually(async () => expect(await metric(cluster, "roomcast_connections")).toBe(0));
    returning.send(`40${JSON.stringify({ token })}`);
    await eventually(() => expect(returning.heard.some((frame) => frame.startsWith('42["welcome"'))).toBe(true));
    await eventually(() => expect(stranger.closed).toBe(true), { withinMs: 10 * TIMEOUT_MS });
    expect(returning.isOpen).toBe(true);
    returning.close();
  });
});
