import { fileURLToPath } from "node:url";
import express, { Router } from "express";
import helmet from "helmet";
import { asyncApi } from "../description/asyncapi.ts";
import { eventsPage } from "../description/events-page.ts";
import { openApi } from "../description/openapi.ts";

/** The viewer's files, which the build puts together: the same place for `src/` and for `dist/`. */
const VIEWER_FILES = fileURLToPath(new URL("../../dist/viewer", import.meta.url));

/** `/openapi.json`, `/asyncapi.json`, and both to look at under `/docs/`. */
export function descriptionRoutes(): Router {
  const router = Router();
  const calls = openApi();
  const events = asyncApi();
  const page = eventsPage(events);
  router.get("/openapi.json", (_request, response) => {
    response.json(calls);
  });
  router.get("/asyncapi.json", (_request, response) => {
    response.json(events);
  });
  router.use(
    "/docs",
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          defaultSrc: ["'none'"],
          scriptSrc: ["'self'"],
          styleSrc: ["'self'"],
          imgSrc: ["'self'", "data:"],
          connectSrc: ["'self'"],
          baseUri: ["'none'"],
          formAction: ["'none'"],
          frameAncestors: ["'none'"],
        },
      },
      strictTransportSecurity: false,
    }),
  );
  router.get("/docs/events", (_request, response) => {
    response.type("html").send(page);
  });
  router.use("/docs", express.static(VIEWER_FILES));
  return router;
}
