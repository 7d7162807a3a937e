import { type IncomingHttpHeaders, type IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "socket.io";
import type { Engine } from "./engine.ts";

/** Instead of the query, which names the transport for Engine.IO, and of what came beside the token: both were read. */
const NOTHING = Object.freeze({});

/** The headers by which another handshake of the same session is checked: where its page is from, and its address. */
const ASKED_AGAIN = ["origin", "host", "x-forwarded-for"] as const;

/**
 * The HTTP requests that sessions began with. Engine.IO keeps each for as long as its session lives, twice: by the session
 * and by the stand-in that it makes for an upgrade's response. With parser, headers and a table of properties that is 3 KiB an
 * idle client, and more with the headers of a browser (docs/performance.md).
 */
export class HandshakeRequests {
  readonly #responses = new WeakMap<IncomingMessage, object>();

  constructor(engine: Engine) {
    engine.use((request: IncomingMessage, response: object, next: () => void) => {
      if (!(response instanceof ServerResponse)) this.#responses.set(request, response);
      next();
    });
  }

  /** Of the request only that stays which is asked for later: another handshake of the same session is checked by it. */
  forget({ conn: session, handshake }: Socket): void {
    const { request } = session;
    const response = this.#responses.get(request);
    if (response !== undefined) Reflect.set(response, "req", undefined);
    const { method, socket } = request;
    const headers: IncomingHttpHeaders = {};
    for (const name of ASKED_AGAIN) {
      if (request.headers[name] !== undefined) Object.assign(headers, { [name]: request.headers[name] });
    }
    const url = handshake.url.split("?", 1)[0] ?? "";
    Object.assign(handshake, { headers, url, query: NOTHING, auth: NOTHING });
    Reflect.set(session, "request", { method, url, headers, socket, connection: socket, _query: NOTHING });
  }
}
