import { setTimeout as delay } from "node:timers/promises";
import type { Fault } from "./fault.ts";
import type { Member } from "./member.ts";
import type { World } from "./world.ts";

/** Makes a fault happen; resolves once it is over. Clients that are cut come back later by themselves. */
export async function perform(fault: Fault, world: World, members: readonly Member[]): Promise<void> {
  const { cluster, redis, control, proxies, pair } = world;
  switch (fault.kind) {
    case "cut clients":
      for (const client of fault.clients) members[client]?.line.cut(fault.forMs);
      return;
    case "stop reading": {
      const goOn = members[fault.client]?.line.stopReading();
      await delay(fault.forMs);
      goOn?.();
      return;
    }
    case "arrive":
      members[fault.client]?.line.socket.connect();
      return;
    case "depart":
      await members[fault.client]?.depart(fault.how);
      return;
    case "kill node":
      await cluster.kill(fault.node);
      await delay(fault.awayMs);
      await cluster.restart(fault.node);
      return;
    case "drain node":
      await cluster.restart(fault.node);
      return;
    case "freeze node":
      await cluster.kill(fault.node, "SIGSTOP");
      await delay(fault.forMs);
      await cluster.kill(fault.node, "SIGCONT");
      return;
    case "restart redis":
    case "empty redis":
      await redis.kill();
      await delay(fault.awayMs);
      if (fault.kind === "empty redis") await redis.forget();
      await redis.start();
      return;
    case "fail over":
      if (pair === undefined) throw new Error("there is no other Redis in this scenario");
      await pair.fallBehind();
      await delay(fault.behindMs);
      await pair.failOver();
      await delay(fault.awayMs);
      world.turnToPrimary();
      await pair.refill();
      return;
    case "pause redis":
      await redis.pause();
      await delay(fault.forMs);
      await redis.resume();
      return;
    case "close redis connections":
      await control.call("CLIENT", "KILL", "TYPE", fault.type, "SKIPME", "yes");
      return;
    case "half-open":
      for (const node of fault.nodes) proxies[node]?.swallow(fault.swallow);
      await delay(fault.forMs);
      for (const node of fault.nodes) proxies[node]?.pass();
  }
}

/** Whether it is something that clients do by themselves, whatever else happens at the time. */
export function isOfClients({ kind }: Fault): boolean {
  return kind === "cut clients" || kind === "arrive" || kind === "depart" || kind === "stop reading";
}
