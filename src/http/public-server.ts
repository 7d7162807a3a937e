import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type RequestListener,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import type { Server as HttpsServer } from "node:https";
import { Socket as TcpSocket } from "node:net";
import type { Duplex } from "node:stream";
import express from "express";
import helmet from "helmet";
import type { Logger } from "../telemetry/log.ts";
import { type ApiOptions, apiRoutes } from "./api.ts";
import { problemHandler } from "./problem.ts";
import { type PublicAppOptions, publicApp } from "./public-app.ts";

/** Where Socket.IO takes upgrades; it answers each of them itself. */
const SOCKET_IO = "/socket.io/";

type Handler = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void;

/** An Express application, 4 or 5, by what is needed of it: no other version's types are in the way. */
export interface ExpressApp {
  (request: IncomingMessage, response: ServerResponse): unknown;
  use(path: string, handler: Handler): unknown;
}

/** What an embedding application brings along. */
export interface Host {
  readonly server?: HttpServer | HttpsServer | undefined;
  readonly app?: ExpressApp | undefined;
}

/**
 * The HTTP server of the public port: the application's, with `/v1` in its app, or one of our own with everything. Socket.IO
 * is attached to it later, and hears requests before all that is here. Throws `TypeError` where `/v1` has no place.
 */
export function publicServer(
  { server, app }: Host,
  own: ServerOptions,
  options: PublicAppOptions,
): HttpServer | HttpsServer {
  if (app !== undefined) {
    if (options.api !== undefined) app.use("/v1", apiOfGuest(options.api, options.log));
    if (server === undefined) return ownServer(own, app);
    if (server.listenerCount("request") === 0) server.on("request", app);
    return server;
  }
  if (server === undefined) return ownServer(own, publicApp(options));
  if (server.listenerCount("request") === 0) server.on("request", publicApp(options));
  else if (options.api !== undefined) {
    throw new TypeError("API_KEYS are set, and /v1 has no place: give createNode the Express app too, or set API_PORT");
  }
  return server;
}

/**
 * Engine.IO ends upgrades that nobody has answered for a second, and leaves the closing to their clients: no time-out of the HTTP
 * server is for them any more, and a client may never close.
 */
function ownServer(own: ServerOptions, app: RequestListener): HttpServer {
  return createServer(own, app).on("upgrade", ({ url = "" }: IncomingMessage, socket: Duplex) => {
    // A listener more is 400 bytes that every idle client would keep.
    if (url.startsWith(SOCKET_IO) || !(socket instanceof TcpSocket)) return;
    socket.once("finish", () => {
      if (socket.bytesWritten === 0) socket.destroy();
    });
  });
}

/** An application of its own inside the other: settings, error handling and headers of either do not reach the other. */
function apiOfGuest(api: ApiOptions, log: Logger): ExpressApp {
  const own = express();
  own.disable("x-powered-by");
  own.use(helmet({ strictTransportSecurity: false }));
  own.use(apiRoutes(api));
  own.use(problemHandler(log));
  return own;
}
