import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { clientAddress, isProxyNetwork } from "../../src/client-address.ts";

function request(remoteAddress: string, forwarded?: string): IncomingMessage {
  const message = new IncomingMessage(Object.defineProperty(new Socket(), "remoteAddress", { value: remoteAddress }));
  if (forwarded !== undefined) message.headers["x-forwarded-for"] = forwarded;
  return message;
}

describe("[G9] a client's address", () => {
  test("is not known where nobody said what stands in front", () => {
    expect(clientAddress(undefined)(request("10.0.0.1", "1.2.3.4"))).toBeUndefined();
  });

  test("is the peer's where no proxy is trusted, whatever its header says", () => {
    expect(clientAddress([])(request("9.9.9.9", "1.2.3.4"))).toBe("9.9.9.9");
    expect(clientAddress(["10.0.0.0/8"])(request("9.9.9.9", "1.2.3.4"))).toBe("9.9.9.9");
  });

  test.each([
    ["1.2.3.4", "1.2.3.4"],
    ["6.6.6.6, 1.2.3.4", "1.2.3.4"],
    ["made up, 1.2.3.4, 10.9.9.9", "1.2.3.4"],
    [undefined, "10.0.0.1"],
  ])("behind a trusted proxy that says %s is %s", (forwarded, address) => {
    expect(clientAddress(["10.0.0.0/8"])(request("10.0.0.1", forwarded))).toBe(address);
  });

  test.each([
    ["::ffff:9.9.9.9", "9.9.9.9"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:0db8:1:2::6", "2001:db8:1:2::/64"],
    ["2001:db8::6", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1:2:3:4%eth0", "fe80:0:0:0::/64"],
  ])("%s counts as %s", (peer, address) => {
    expect(clientAddress([])(request(peer))).toBe(address);
  });

  test("networks are what proxies may be given as", () => {
    for (const good of ["10.0.0.1", "10.0.0.0/8", "fd00::/8", "loopback", "uniquelocal", "linklocal"]) {
      expect(isProxyNetwork(good), good).toBe(true);
    }
    for (const wrong of ["", "10.0.0.0/40", "everybody", "10.0.0"]) expect(isProxyNetwork(wrong), wrong).toBe(false);
  });
});
