import { describe, expect, test } from "vitest";
import { requireOrigin } from "../../src/socket/origins.ts";

const HOST = "rooms.example";

describe("[G7] the origin of a handshake", () => {
  test.each([
    [undefined, []],
    ["https://rooms.example", []],
    ["http://rooms.example:80", []],
    ["https://app.example", ["https://app.example"]],
    ["https://anywhere.example", "*" as const],
    ["null", "*" as const],
  ])("%s may connect with %j", (origin, allowed) => {
    expect(() => requireOrigin(origin === undefined ? { host: HOST } : { origin, host: HOST }, allowed)).not.toThrow();
  });

  test.each([
    ["https://evil.example", []],
    ["https://evil.example", ["https://app.example"]],
    ["https://rooms.example.evil.example", []],
    ["https://rooms.example:8443", []],
    ["https://app.example.evil", ["https://app.example"]],
    ["null", ["https://app.example"]],
    ["", []],
    ["rooms.example", []],
  ])("%s may not connect with %j", (origin, allowed) => {
    expect(() => requireOrigin({ origin, host: HOST }, allowed)).toThrow("may not connect: CORS_ORIGINS does not name");
  });

  test("a Host with its port fits the origin without, where it is the scheme's own", () => {
    expect(() => requireOrigin({ origin: "https://rooms.example", host: "rooms.example:443" }, [])).not.toThrow();
    expect(() => requireOrigin({ origin: "http://rooms.example", host: "rooms.example:443" }, [])).toThrow();
  });
});
