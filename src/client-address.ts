import type { IncomingMessage } from "node:http";
import { isIPv6 } from "node:net";
import proxyAddress from "proxy-addr";

/** Names a client by its address, or not at all where nothing is known of the proxies in between. */
export type AddressOf = (request: IncomingMessage) => string | undefined;

/** How many of the eight groups of an IPv6 address tell clients apart: whoever has one has the whole /64. */
const IPV6_GROUPS = 4;

/** What `TRUSTED_PROXIES` may hold: addresses, networks as `10.0.0.0/8`, `loopback`, `linklocal`, `uniquelocal`. */
export function isProxyNetwork(text: string): boolean {
  try {
    proxyAddress.compile(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * The client's address behind proxies of these networks: `X-Forwarded-For` is read from its end, for as long as whoever
 * added to it is trusted. An empty list: clients connect directly. Without a list nobody can tell clients from balancers.
 */
export function clientAddress(trusted: readonly string[] | undefined): AddressOf {
  if (trusted === undefined) return () => undefined;
  const trust = trusted.length === 0 ? () => false : proxyAddress.compile([...trusted]);
  return (request) => networkOf(proxyAddress(request, trust));
}

/** An IPv4 address as it is, of an IPv6 address its network. */
function networkOf(address: string | undefined): string | undefined {
  if (address === undefined || !isIPv6(address)) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1];
  const [head = "", tail] = address.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => "0");
  const groups = [...before, ...(tail === undefined ? [] : zeros), ...after];
  return `${groups
    .slice(0, IPV6_GROUPS)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}
