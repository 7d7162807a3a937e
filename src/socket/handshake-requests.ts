import { type IncomingMessage, ServerResponse } from "node:http";
import type { Engine, EngineSession } from "./admission.ts";

/**
 * The HTTP requests that sessions began with. Engine.IO keeps each for as long as its session lives, twice: by the session
 * and by the stand-in that it makes for an upgrade's response. With parser, headers as they came and a table of properties
 * that is 3 KiB an idle client (docs/performance.md).
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
  forget(session: EngineSession): void {
    const { request } = session;
    const response = this.#responses.get(request);
    if (response !== undefined) Reflect.set(response, "req", undefined);
    const { method, url, headers, socket } = request;
    const query: unknown = Reflect.get(request, "_query");
    Reflect.set(session, "request", { method, url, headers, socket, connection: socket, _query: query });
  }
}
