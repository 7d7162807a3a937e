import type { IncomingMessage } from "node:http";
import { isIPv4 } from "node:net";

/** Headers that a proxy adds; one of them means that the caller may be anybody. */
const PROXY_HEADERS = /^(forwarded|via|x-forwarded-.*)$/;

function isLoopbackAddress(address: string): boolean {
  const v4 = address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
  return address === "::1" || (isIPv4(v4) && v4.startsWith("127."));
}

/** Whether a `Host` header (`name`, `name:port`, `[::1]:port`) names this very machine. */
export function isLoopbackHost(host: string): boolean {
  const { hostname, host: whole } = URL.parse(`http://${host}/`) ?? { hostname: "", host: "" };
  if (whole === "" || /[/?#@\\]/.test(host)) return false;
  return hostname === "localhost" || (hostname.startsWith("[") ? hostname === "[::1]" : isLoopbackAddress(hostname));
}

/**
 * Whether a request comes from this machine itself: from a loopback address, for a loopback host (so that no web page
 * reaches it through a name of its own that points to 127.0.0.1), and through no proxy.
 */
export function isFromLoopback(request: IncomingMessage): boolean {
  return (
    isLoopbackAddress(request.socket.remoteAddress ?? "") &&
    isLoopbackHost(request.headers.host ?? "") &&
    !Object.keys(request.headers).some((name) => PROXY_HEADERS.test(name))
  );
}
