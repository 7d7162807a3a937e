import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createShardedAdapter } from "@socket.io/redis-adapter";
import { Redis } from "ioredis";
import { Server } from "socket.io";
import { redisUrl } from "./run-redis.ts";
import { stopsWithTest } from "./teardown.ts";

/** A plain Socket.IO server that knows nothing of Roomcast. */
export interface StockNode {
  readonly url: string;
  readonly io: Server;
}

/**
 * Socket.IO with the stock sharded adapter, on the channels of the cluster with this prefix. Its clients enter a room by
 * `emit("enter", room, ack)` and leave it by `emit("exit", room, ack)`. Stops with the test that called it.
 */
export async function startStockNode(channelPrefix: string, url = redisUrl()): Promise<StockNode> {
  const clients = [new Redis(url), new Redis(url)] as const;
  const http = createServer();
  const io = new Server(http, {
    adapter: createShardedAdapter(...clients, { channelPrefix, subscriptionMode: "dynamic" }),
  });
  io.on("connection", (socket) => {
    socket.on("enter", async (room: string, ack: () => void) => {
      await socket.join(room);
      ack();
    });
    socket.on("exit", async (room: string, ack: () => void) => {
      await socket.leave(room);
      ack();
    });
  });
  stopsWithTest(async () => {
    await io.close();
    for (const client of clients) client.disconnect();
  });
  await new Promise<void>((resolve) => {
    http.listen(0, "127.0.0.1", resolve);
  });
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, io };
}
