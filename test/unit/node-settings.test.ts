import { createServer } from "node:http";
import { expect, it } from "vitest";
import { httpTimeouts } from "../../src/node-settings.ts";

it("[G9] slow clients have limits that Node takes, whatever HANDSHAKE_TIMEOUT_MS is", () => {
  for (const timeoutMs of [100, 101, 1_999, 2_501, 9_999, 10_000, 119_999]) {
    const limits = httpTimeouts(timeoutMs);
    const server = createServer(limits);
    expect(server.headersTimeout).toBe(timeoutMs);
    expect(server.requestTimeout).toBe(3 * timeoutMs);
    // The longest that balancers keep a connection by default.
    expect(server.keepAliveTimeout).toBeGreaterThan(60_000);
    expect(limits.connectionsCheckingInterval).toBeLessThanOrEqual(timeoutMs / 4 + 1);
    server.close();
  }
});
