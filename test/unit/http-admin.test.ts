import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { ApiKeys } from "../../src/auth/api-keys.ts";
import { adminApp, type Readiness } from "../../src/http/admin-app.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { metricsOfNode } from "../support/metrics.ts";

async function start(readiness: () => Readiness, metrics = metricsOfNode(), beginDrain: () => void = () => undefined) {
  const server = createServer(
    adminApp({
      apiKeys: new ApiKeys(["key-1", "key-2"]),
      beginDrain,
      readiness,
      registry: metrics.registry,
      log: createLogger("silent", "n1"),
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("the admin port", () => {
  test("[G5] /readyz follows the node, /livez does not", async () => {
    let state: Readiness = { ready: true, reason: "ready" };
    const origin = await start(() => state);
    const ready = await fetch(`${origin}/readyz`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toEqual({ ready: true, reason: "ready" });
    state = { ready: false, reason: "Redis has been away for 3 s" };
    const unready = await fetch(`${origin}/readyz`);
    expect(unready.status).toBe(503);
    expect(await unready.json()).toEqual(state);
    expect(unready.headers.get("cache-control")).toBe("no-store");
    expect((await fetch(`${origin}/livez`)).status).toBe(200);
  });

  test("/livez asks nobody", async () => {
    const origin = await start(() => {
      throw new Error("asked");
    });
    expect((await fetch(`${origin}/livez`)).status).toBe(200);
    expect((await fetch(`${origin}/readyz`)).status).toBe(500);
  });

  test("[G8] POST /drain is for API keys only, and begins at once", async () => {
    let drains = 0;
    const origin = await start(
      () => ({ ready: true, reason: "" }),
      undefined,
      () => {
        drains += 1;
      },
    );
    const drain = (authorization?: string) =>
      fetch(`${origin}/drain`, { method: "POST", headers: authorization === undefined ? {} : { authorization } });
    for (const refused of [undefined, "key-1", "Bearer", "Bearer key-3", "Basic key-1"]) {
      const response = await drain(refused);
      expect(response.status).toBe(401);
      expect(await response.json()).toMatchObject({ code: "unauthorized" });
    }
    expect(drains).toBe(0);
    expect((await drain("Bearer key-2")).status).toBe(202);
    expect(drains).toBe(1);
  });

  test("/metrics is what Prometheus reads", async () => {
    const metrics = metricsOfNode("n1", { connections: () => 7 });
    metrics.messageAccepted(40, 0.003, false);
    const origin = await start(() => ({ ready: true, reason: "" }), metrics);
    const response = await fetch(`${origin}/metrics`);
    expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
    const text = await response.text();
    expect(text).toContain("\nroomcast_connections 7\n");
    expect(text).toContain("\nroomcast_messages_accepted_total 1\n");
    expect(text).toContain("process_resident_memory_bytes");
  });

  test("anything else is a problem document", async () => {
    const origin = await start(() => ({ ready: true, reason: "" }));
    const response = await fetch(`${origin}/v1/nodes`);
    expect(response.status).toBe(404);
    expect(response.headers.get("content-type")).toContain("application/problem+json");
    expect(response.headers.get("x-powered-by")).toBeNull();
  });
});
