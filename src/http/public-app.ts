import express, { type Express } from "express";
import type { Logger } from "../telemetry/log.ts";
import { type ApiOptions, apiRoutes } from "./api.ts";
import { type DemoOptions, demoRoutes } from "./demo.ts";
import { descriptionRoutes } from "./description.ts";
import { notFound, problemHandler } from "./problem.ts";
import { strictHeaders } from "./strict-headers.ts";

export interface PublicAppOptions extends DemoOptions {
  /** `/v1`, where it has no port of its own. */
  readonly api: ApiOptions | undefined;
  readonly log: Logger;
}

/** The Express application of the public port; Socket.IO is attached to the same HTTP server. */
export function publicApp({ log, api, ...demo }: PublicAppOptions): Express {
  const app = express();
  app.use(strictHeaders("'self'"));
  app.use(descriptionRoutes());
  if (api !== undefined) app.use("/v1", apiRoutes(api));
  app.use(demoRoutes(demo));
  app.use(notFound);
  app.use(problemHandler(log));
  return app;
}
