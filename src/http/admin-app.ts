import express, { type Express } from "express";
import type { Registry } from "prom-client";
import type { ApiKeys } from "../auth/api-keys.ts";
import { RoomcastError } from "../errors.ts";
import type { Logger } from "../telemetry/log.ts";
import { notFound, problemHandler } from "./problem.ts";

/** Whether the node takes new connections, and in words why or why not. */
export interface Readiness {
  readonly ready: boolean;
  readonly reason: string;
}

export interface AdminAppOptions {
  readonly apiKeys: ApiKeys;
  /** Begins to hand the connections over; returns at once. */
  readonly beginDrain: () => void;
  readonly readiness: () => Readiness;
  readonly registry: Registry;
  readonly log: Logger;
}

/** The Express application of the private port: `/livez`, `/readyz`, `/metrics`, `POST /drain`. */
export function adminApp({ apiKeys, beginDrain, readiness, registry, log }: AdminAppOptions): Express {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.use((_request, response, next) => {
    response.set("Cache-Control", "no-store").set("X-Content-Type-Options", "nosniff");
    next();
  });
  // Depends on nothing but the process: an outage of Redis must not restart every node.
  app.get("/livez", (_request, response) => {
    response.json({ live: true });
  });
  app.get("/readyz", (_request, response) => {
    const { ready, reason } = readiness();
    response.status(ready ? 200 : 503).json({ ready, reason });
  });
  app.get("/metrics", async (_request, response) => {
    const text = await registry.metrics();
    response.set("Content-Type", registry.contentType).end(text);
  });
  if (!apiKeys.isEmpty) {
    app.post("/drain", (request, response) => {
      if (!apiKeys.accepts(request.headers.authorization)) {
        throw new RoomcastError("unauthorized", "POST /drain needs Authorization: Bearer and an API key");
      }
      beginDrain();
      response.status(202).json({ draining: true });
    });
  }
  app.use(notFound);
  app.use(problemHandler(log));
  return app;
}
