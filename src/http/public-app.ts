import express, { type Express } from "express";
import helmet from "helmet";
import type { Logger } from "../telemetry/log.ts";
import { type ApiOptions, apiRoutes } from "./api.ts";
import { type DemoOptions, demoRoutes } from "./demo.ts";
import { descriptionRoutes } from "./description.ts";
import { notFound, problemHandler } from "./problem.ts";

export interface PublicAppOptions extends DemoOptions {
  /** `/v1`, where it has no port of its own. */
  readonly api: ApiOptions | undefined;
  readonly log: Logger;
}

/** The Express application of the public port; Socket.IO is attached to the same HTTP server. */
export function publicApp({ log, api, ...demo }: PublicAppOptions): Express {
  const app = express();
  app.use(
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          defaultSrc: ["'none'"],
          scriptSrc: ["'self'"],
          styleSrc: ["'self'"],
          imgSrc: ["'self'", "data:"],
          // Includes ws: and wss: to the same host and port.
          connectSrc: ["'self'"],
          baseUri: ["'none'"],
          formAction: ["'self'"],
          frameAncestors: ["'none'"],
        },
      },
      // Whoever ends TLS decides this: the node itself speaks plain HTTP, for names that are not its own.
      strictTransportSecurity: false,
    }),
  );
  app.use(descriptionRoutes());
  if (api !== undefined) app.use("/v1", apiRoutes(api));
  app.use(demoRoutes(demo));
  app.use(notFound);
  app.use(problemHandler(log));
  return app;
}
