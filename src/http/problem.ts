import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { ErrorRequestHandler, Request, RequestHandler, Response } from "express";
import { ERRORS, RoomcastError } from "../errors.ts";
import type { LogFields, Logger } from "../telemetry/log.ts";

/** An RFC 9457 problem document, with the code of the same error on the socket. */
export interface Problem {
  type: "about:blank";
  title: string;
  status: number;
  detail: string;
  code: string;
  retryAfterMs?: number;
}

function sendProblem(response: Response, error: RoomcastError): void {
  const { status } = ERRORS[error.code];
  const problem: Problem = {
    type: "about:blank",
    title: STATUS_CODES[status] ?? "",
    status,
    detail: error.message,
    code: error.code,
  };
  if (error.retryAfterMs !== undefined) {
    problem.retryAfterMs = error.retryAfterMs;
    response.set("Retry-After", String(Math.ceil(error.retryAfterMs / 1000)));
  }
  response.status(status).type("application/problem+json").send(JSON.stringify(problem));
}

function statusOf(error: unknown): number | undefined {
  return error instanceof Error && "status" in error && typeof error.status === "number" ? error.status : undefined;
}

/** Errors of Express and its parsers are the caller's where their status says so; everything else is ours. */
export function asRoomcastError(error: unknown): RoomcastError {
  if (error instanceof RoomcastError) return error;
  const status = statusOf(error);
  if (status === 413) return new RoomcastError("payload_too_large", "the body is too large");
  if (status === 404) return new RoomcastError("not_found");
  if (status !== undefined && status >= 400 && status < 500) {
    const broken = error instanceof SyntaxError ? "the body is not JSON" : "the request cannot be read";
    return new RoomcastError("bad_request", broken, { cause: error });
  }
  return new RoomcastError("internal", undefined, { cause: error });
}

const REQUEST_ID = "X-Request-Id";

/**
 * What the log calls a request that broke, told in its answer: the same for all of its parts. The caller's own id, where it
 * can be written as it is, so that both logs have the same one.
 */
export function requestIdOf(request: Request, response: Response): string {
  const told = response.get(REQUEST_ID);
  if (told !== undefined) return told;
  const given = request.get(REQUEST_ID);
  const id = given !== undefined && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
  if (!response.headersSent) response.set(REQUEST_ID, id);
  return id;
}

/** Behind all routes: there is no such thing. */
export const notFound: RequestHandler = (request) => {
  throw new RoomcastError("not_found", `there is no ${request.method} ${request.path}`);
};

/** The one place where errors become answers. What is our fault is logged with its cause, once. */
export function problemHandler(log: Logger): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    const known = asRoomcastError(error);
    if (known.code === "internal") {
      const requestId = requestIdOf(request, response);
      const fields: LogFields = { err: known.cause ?? known, requestId, method: request.method, path: request.path };
      log.error(fields, "an HTTP request failed");
    }
    if (response.headersSent) next(error);
    else sendProblem(response, known);
  };
}
