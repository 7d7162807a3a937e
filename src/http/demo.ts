import { fileURLToPath } from "node:url";
import express, { type RequestHandler, Router } from "express";
import { issueDevToken } from "../auth/dev-tokens.ts";
import type { TokenSettings } from "../auth/tokens.ts";
import type { Config } from "../config/config.ts";
import { RoomcastError } from "../errors.ts";
import { isFromLoopback } from "../loopback.ts";

/** The demo's files: the same place for `src/` and for `dist/`. */
export const DEMO_FILES = fileURLToPath(new URL("../../web/demo", import.meta.url));

const MAX_BODY = "16kb";

/** Everything under `/` that only the demo has; `off` has nothing. */
export interface DemoOptions {
  readonly demo: Config["demo"];
  readonly tokens: TokenSettings;
  /** The directory whose files are served at `/`. */
  readonly files: string;
}

const loopbackOnly: RequestHandler = (request, _response, next) => {
  if (isFromLoopback(request)) return next();
  throw new RoomcastError(
    "forbidden",
    "POST /dev/token answers loopback callers only, by a loopback name and not through a proxy",
  );
};

/** `POST /dev/token` and the demo's page. */
export function demoRoutes({ demo, tokens, files }: DemoOptions): Router {
  const router = Router();
  if (demo.kind === "off") return router;
  const secret = tokens.keys.kind === "secrets" ? tokens.keys.secrets[0] : undefined;
  if (secret !== undefined && demo.tokens !== "nobody") {
    if (demo.tokens === "loopback") router.use("/dev/token", loopbackOnly);
    // Whatever the content type says: `curl -d` says that it is a form.
    router.post("/dev/token", express.json({ limit: MAX_BODY, type: () => true }), async (request, response) => {
      const token = await issueDevToken(secret, request.body ?? {}, tokens);
      response.set("Cache-Control", "no-store").json(token);
    });
  }
  router.use(express.static(files));
  return router;
}
