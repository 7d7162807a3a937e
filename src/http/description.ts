import { fileURLToPath } from "node:url";
import express, { Router } from "express";
import { asyncApi } from "../description/asyncapi.ts";
import { eventsPage } from "../description/events-page.ts";
import { openApi } from "../description/openapi.ts";
import { strictHeaders } from "./strict-headers.ts";

/** The viewer's files, which the build puts together: the same place for `src/` and for `dist/`. */
const VIEWER_FILES = fileURLToPath(new URL("../../dist/viewer", import.meta.url));

/** Made when somebody asks first: most nodes are never asked. */
function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** `/openapi.json`, `/asyncapi.json`, and both to look at under `/docs/`. */
export function descriptionRoutes(): Router {
  const router = Router();
  const calls = once(openApi);
  const events = once(asyncApi);
  const page = once(() => eventsPage(events()));
  router.get("/openapi.json", (_request, response) => {
    response.json(calls());
  });
  router.get("/asyncapi.json", (_request, response) => {
    response.json(events());
  });
  router.use("/docs", strictHeaders("'none'"));
  router.get("/docs/events", (_request, response) => {
    response.type("html").send(page());
  });
  router.use("/docs", express.static(VIEWER_FILES));
  return router;
}
