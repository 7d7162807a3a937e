import express, { type Express, type RequestHandler, Router } from "express";
import helmet from "helmet";
import type { ApiKeys } from "../auth/api-keys.ts";
import { RoomcastError } from "../errors.ts";
import type { Logger } from "../telemetry/log.ts";
import { type ModerationOfRooms, moderationRoutes } from "./moderation.ts";
import { notFound, problemHandler } from "./problem.ts";

export interface ApiOptions {
  readonly apiKeys: ApiKeys;
  readonly moderation: ModerationOfRooms;
  /** The one deadline of a whole call, in milliseconds; past it the answer is `unavailable`. */
  readonly timeoutMs: number;
}

function authenticated(apiKeys: ApiKeys): RequestHandler {
  return (request, response, next) => {
    if (apiKeys.accepts(request.headers.authorization)) return next();
    response.set("WWW-Authenticate", 'Bearer realm="roomcast"');
    throw new RoomcastError("unauthorized", "/v1 needs Authorization: Bearer and an API key");
  };
}

/** Everything under `/v1`, for the application's own servers: nothing without one of the API keys. */
export function apiRoutes({ apiKeys, moderation, timeoutMs }: ApiOptions): Router {
  const router = Router();
  router.use((_request, response, next) => {
    response.set("Cache-Control", "no-store");
    next();
  });
  router.use(authenticated(apiKeys));
  router.use(moderationRoutes(moderation, timeoutMs));
  router.use(notFound);
  return router;
}

/** The Express application of `API_PORT`, where `/v1` has a port of its own. */
export function apiApp(options: ApiOptions, log: Logger): Express {
  const app = express();
  app.use(helmet({ strictTransportSecurity: false }));
  app.use("/v1", apiRoutes(options));
  app.use(notFound);
  app.use(problemHandler(log));
  return app;
}
