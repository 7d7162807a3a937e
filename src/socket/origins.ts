import type { IncomingHttpHeaders } from "node:http";
import { RoomcastError } from "../errors.ts";

/**
 * Refuses pages of other origins than those of `CORS_ORIGINS`. Browsers ask nobody before they open a websocket to
 * another origin, so this is looked at for both transports. Who sends no `Origin` is no browser; pages of this very host
 * (the demo's) may always come. Throws `forbidden`.
 */
export function requireOrigin({ origin, host }: IncomingHttpHeaders, allowed: readonly string[] | "*"): void {
  if (origin === undefined || allowed === "*" || allowed.includes(origin)) return;
  // The scheme is not known here: TLS ends in front of the node.
  const page = URL.parse(origin);
  if (page !== null && host !== undefined && page.host === URL.parse(`${page.protocol}//${host}`)?.host) return;
  throw new RoomcastError(
    "forbidden",
    `pages of ${origin.slice(0, 200)} may not connect: CORS_ORIGINS does not name them`,
  );
}
