import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import { isFromLoopback, isLoopbackHost } from "../../src/loopback.ts";

function request(remoteAddress: string | undefined, headers: Record<string, string | undefined>): IncomingMessage {
  return { socket: { remoteAddress }, headers } as unknown as IncomingMessage;
}

describe("a loopback host", () => {
  test.each(["localhost", "localhost:3000", "LOCALHOST:80", "127.0.0.1", "127.8.9.1:3000", "[::1]", "[::1]:3000"])(
    "%s is one",
    (host) => expect(isLoopbackHost(host)).toBe(true),
  );

  test.each([
    "",
    "example.com",
    "localhost.example.com",
    "127.0.0.1.example.com",
    "128.0.0.1",
    "0.0.0.0",
    "[::2]",
    "[::ffff:10.0.0.1]",
    "user@localhost",
    "localhost/",
    "localhost?x",
    "localhost:99999",
    "a b",
  ])("%j is none", (host) => expect(isLoopbackHost(host)).toBe(false));
});

describe("[G7] a request from loopback", () => {
  test.each(["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])("comes from %s", (address) => {
    expect(isFromLoopback(request(address, { host: "localhost:3000" }))).toBe(true);
  });

  test.each(["10.0.0.1", "::ffff:10.0.0.1", "fe80::1", undefined])("does not come from %s", (address) => {
    expect(isFromLoopback(request(address, { host: "localhost:3000" }))).toBe(false);
  });

  test("is for a loopback host: no page comes in through a name that points here", () => {
    expect(isFromLoopback(request("127.0.0.1", { host: "rebound.example.com" }))).toBe(false);
    expect(isFromLoopback(request("127.0.0.1", {}))).toBe(false);
  });

  test.each(["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-anything"])(
    "came through no proxy: %s",
    (header) => {
      expect(isFromLoopback(request("127.0.0.1", { host: "localhost", [header]: "" }))).toBe(false);
    },
  );
});
