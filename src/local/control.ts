import type { IncomingMessage, ServerResponse } from "node:http";
import { isFromLoopback } from "../loopback.ts";

const NODES_PATH = "/local/nodes";
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

/** What the control works on. */
export interface LocalNodes {
  names(): readonly string[];
  /** SIGKILL; false where there is no such node, or it is dead already. */
  kill(name: string): boolean;
}

/**
 * The local cluster's own control, on the balancer's port: `GET /local/nodes` lists the nodes' names, and
 * `POST /local/nodes/{name}/kill` ends one by SIGKILL (204; 404 where there is no such node). Both want the header
 * `x-roomcast-local: 1` and answer 403 to anybody else. Returns whether it answered.
 */
export function localControl(nodes: LocalNodes) {
  return (request: IncomingMessage, response: ServerResponse): boolean => {
    const kill = request.method === "POST" ? KILL_PATH.exec(request.url ?? "") : null;
    const isList = request.method === "GET" && request.url === NODES_PATH;
    if (kill === null && !isList) return false;
    request.resume();
    if (!isOurs(request)) response.writeHead(403).end();
    else if (kill !== null) response.writeHead(nodes.kill(kill[1] ?? "") ? 204 : 404).end();
    else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ nodes: nodes.names() }));
    return true;
  };
}
