import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { ConnectionRole } from "../../src/redis/connection.ts";
import { stopsWithTest } from "./teardown.ts";

type Way = "requests" | "answers";

/**
 * The network between nodes and their Redis, which can break without closing anything. A role's connections are told
 * apart by the name that each gives itself first.
 */
export interface RedisProxy {
  /** What `REDIS_URL` is for nodes behind it. */
  readonly url: string;
  /** From now on the bytes of this role's open connections vanish, both ways; connections that are made later work. */
  swallow(role: ConnectionRole): void;
  /** Keeps the bytes of this role, of later connections too, until `release`. */
  hold(role: ConnectionRole, ways?: readonly Way[]): void;
  /** What was kept arrives, also where the node has given the connection up, and bytes flow again. */
  release(): void;
  /** Every chunk takes so long, both ways. */
  slow(delayMs: number): void;
  /** Later connections lead to another server; those that are open stay with the one before. */
  leadTo(port: number): void;
}

interface Link {
  readonly node: Socket;
  readonly redis: Socket;
  role: ConnectionRole | undefined;
  swallowed: boolean;
  readonly kept: (() => void)[];
}

const NAME = /-(commands|reads|subscriber)\b/;

/** Puts a proxy in front of a Redis. Stops with the test that called it. */
export async function startRedisProxy(redisPort: number): Promise<RedisProxy> {
  const links = new Set<Link>();
  const held = new Map<ConnectionRole, readonly Way[]>();
  let delayMs = 0;
  let port = redisPort;

  const pass = (link: Link, way: Way, act: () => void) => {
    if (link.swallowed) return;
    if (link.role !== undefined && held.get(link.role)?.includes(way)) link.kept.push(act);
    else if (delayMs > 0) setTimeout(act, delayMs);
    else act();
  };
  const server = createServer((node) => {
    const redis = connect(port, "127.0.0.1");
    const link: Link = { node, redis, role: undefined, swallowed: false, kept: [] };
    links.add(link);
    for (const socket of [node, redis]) socket.setNoDelay(true).on("error", () => socket.destroy());
    node.on("data", (chunk) => {
      link.role ??= NAME.exec(chunk.toString("latin1"))?.[1] as ConnectionRole | undefined;
      pass(link, "requests", () => redis.write(chunk));
    });
    redis.on("data", (chunk) => pass(link, "answers", () => node.destroyed || node.write(chunk)));
    node.on("close", () => pass(link, "requests", () => redis.end()));
    redis.on("close", () => pass(link, "answers", () => node.destroy()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stopsWithTest(() => {
    server.close();
    for (const { node, redis } of links) for (const socket of [node, redis]) socket.destroy();
  });
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    swallow: (role) => {
      for (const link of links) if (link.role === role) link.swallowed = true;
    },
    hold: (role, ways = ["requests", "answers"]) => held.set(role, ways),
    release: () => {
      held.clear();
      for (const { kept } of links) for (const act of kept.splice(0)) act();
    },
    slow: (ms) => {
      delayMs = ms;
    },
    leadTo: (next) => {
      port = next;
    },
  };
}
