import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { findHaproxy, startHaproxy } from "../support/haproxy.ts";
import { stopsWithTest } from "../support/teardown.ts";

/** A node that is well for who probes it, and dies of every other request once it has read it. */
async function startDyingNode(died: (request: string) => void): Promise<string> {
  const server = createServer((request, response) => {
    if (request.url === "/readyz") response.end();
    else
      request.resume().on("end", () => {
        died(`${request.method} ${request.url}`);
        request.socket.destroy();
      });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stopsWithTest(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const haproxy = await findHaproxy();

describe("HAProxy with the file of deploy/, where a node dies before it answers", () => {
  const title = "[G1] asks another one again what changes nothing, and never what a node may have stored";
  if (haproxy === undefined) {
    it.skip(`${title} (skipped: no haproxy on the PATH, no apt-get download)`, () => undefined);
    return;
  }
  it(title, async () => {
    const died: string[] = [];
    const urls = await Promise.all([1, 2].map(() => startDyingNode((request) => died.push(request))));
    const balancer = await startHaproxy(haproxy, { urls, adminUrls: urls });
    const ask = async (method: string, path: string) => {
      died.length = 0;
      const body = method === "GET" ? null : "{}";
      // On a connection that had an answer before, HAProxy leaves it to the client to ask again.
      const { status } = await fetch(`${balancer.url}${path}`, { method, body, headers: { connection: "close" } });
      expect(status).toBe(502);
      return [...died];
    };
    expect(await ask("GET", "/socket.io/?EIO=4&transport=polling")).not.toHaveLength(1);
    await eventually(async () => expect(await balancer.up()).toBe(2));
    for (const method of ["POST", "PUT", "DELETE"]) {
      expect(await ask(method, "/v1/rooms/chat:1/messages")).toEqual([`${method} /v1/rooms/chat:1/messages`]);
    }
  });
});
