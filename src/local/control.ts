import type { IncomingMessage, ServerResponse } from "node:http";
import { isFromLoopback } from "../loopback.ts";

const KILL_PATH = /^\/local\/nodes\/([^/?]+)\/kill$/;
/**
 * Whether a request comes from this machine and not from some web page open on it: the page's own origin or none, and a
 * header that pages of other origins cannot send without asking first.
 */
function isOurs(request: IncomingMessage): boolean {
  const { host, origin } = request.headers;
  const sameOrigin = origin === undefined || origin === `http://${host}`;
  return isFromLoopback(request) && sameOrigin && request.headers["x-roomcast-local"] === "1";
}

/**
 * The local cluster's own control, on the balancer's port: `POST /local/nodes/{name}/kill` ends that node by SIGKILL, with
 * the header `x-roomcast-local: 1`; 204, 404 where there is no such node, 403 for anybody else. Returns whether it answered.
 */
export function localControl(kill: (name: string) => boolean) {
  return (request: IncomingMessage, response: ServerResponse): boolean => {
    const match = KILL_PATH.exec(request.url ?? "");
    if (match === null || request.method !== "POST") return false;
    request.resume();
    const status = isOurs(request) ? (kill(match[1] ?? "") ? 204 : 404) : 403;
    response.writeHead(status).end();
    return true;
  };
}
