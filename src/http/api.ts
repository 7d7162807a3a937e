import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response, Router } from "express";
import helmet from "helmet";
import type { ApiKeys } from "../auth/api-keys.ts";
import type { CallName } from "../calls.ts";
import { type ErrorCode, RoomcastError } from "../errors.ts";
import type { Logger } from "../telemetry/log.ts";
import type { ApiRates } from "./api-rates.ts";
import { callRoutes } from "./call.ts";
import { descriptionRoutes } from "./description.ts";
import { type ModerationOfRooms, moderatingCalls } from "./moderation.ts";
import { type NodesOfCluster, nodeCalls } from "./nodes.ts";
import { asRoomcastError, notFound, problemHandler } from "./problem.ts";
import { type RoomsOfApplication, roomCalls } from "./rooms.ts";
import { type DeadLettersOfApplication, webhookCalls } from "./webhooks.ts";

/** Most bytes of a call's body: as much as a frame of a client. */
const MAX_BODY_BYTES = 1_000_000;

export interface ApiOptions {
  readonly apiKeys: ApiKeys;
  readonly moderation: ModerationOfRooms;
  readonly nodes: NodesOfCluster;
  readonly rooms: RoomsOfApplication;
  readonly deadLetters: DeadLettersOfApplication;
  readonly rates: ApiRates;
  /** The one deadline of a whole call, in milliseconds; past it the answer is `unavailable`. */
  readonly timeoutMs: number;
  /** Most bytes of a batch of messages. */
  readonly batchBytes: number;
  /** A call was carried out. */
  served(call: CallName): void;
  /** A call was answered with an error. */
  refused(code: ErrorCode): void;
  /** A part of a call broke. */
  failed(call: CallName, requestId: string, error: unknown): void;
}

/** Lets in whoever has one of the keys, and remembers which. */
function authenticated(apiKeys: ApiKeys): RequestHandler {
  return (request, response, next) => {
    const key = apiKeys.nameOf(request.headers.authorization);
    if (key !== undefined) {
      response.locals.key = key;
      return next();
    }
    response.set("WWW-Authenticate", 'Bearer realm="roomcast"');
    throw new RoomcastError("unauthorized", "/v1 needs Authorization: Bearer and an API key");
  };
}

function keyOf(response: Response): string {
  return String(response.locals.key);
}

/** Everything under `/v1`, for the application's own servers: nothing without one of the API keys. */
export function apiRoutes(options: ApiOptions): Router {
  const { apiKeys, moderation, nodes, rooms, deadLetters, timeoutMs, served, failed } = options;
  const router = Router();
  router.use((_request, response, next) => {
    response.set("Cache-Control", "no-store");
    next();
  });
  router.use(authenticated(apiKeys));
  const spend = (response: Response, count: number) => options.rates.take(keyOf(response), count, response);
  router.use((_request, response, next) => {
    spend(response, 1);
    next();
  });
  const handlers = {
    ...moderatingCalls(moderation),
    ...roomCalls(rooms),
    ...nodeCalls(nodes),
    ...webhookCalls(deadLetters),
  };
  const bodyBytes = (name: CallName) => (name === "sendMessages" ? options.batchBytes : MAX_BODY_BYTES);
  router.use(callRoutes(handlers, { timeoutMs, bodyBytes, keyOf, spend, served, failed }));
  router.use(notFound);
  router.use(refusals(options));
  return router;
}

/** Tells which error a call was answered with, whatever the place that it comes from. */
function refusals({ refused }: ApiOptions): ErrorRequestHandler {
  return (error: unknown, _request, _response, next) => {
    refused(asRoomcastError(error).code);
    next(error);
  };
}

/** The Express application of `API_PORT`, where `/v1` has a port of its own. */
export function apiApp(options: ApiOptions, log: Logger): Express {
  const app = express();
  app.use(helmet({ strictTransportSecurity: false }));
  app.use(descriptionRoutes());
  app.use("/v1", apiRoutes(options));
  app.use(notFound);
  app.use(problemHandler(log));
  return app;
}
