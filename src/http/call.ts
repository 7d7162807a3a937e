import express, { type Request, type RequestHandler, type Response, Router } from "express";
import type * as z from "zod";
import { CALLS, type CallAnswer, type CallInput, type CallName, type CallRow } from "../calls.ts";
import { RoomcastError } from "../errors.ts";
import { checkFields } from "../fields.ts";
import { idSchema } from "../protocol.ts";
import { requestIdOf } from "./problem.ts";

/** Who calls, and what they say beside the call itself. */
export interface Caller {
  /** The name of the API key. */
  readonly key: string;
  /** The header `Idempotency-Key`: the id of a message, where the body has none. */
  readonly idempotencyKey: string | undefined;
  /** The call is worth so many more than one. Throws `rate_limited` where the key's budget does not hold as many. */
  spend(count: number): void;
  /** Something broke, and the answer cannot be all of what says so: for the log. */
  failed(error: unknown): void;
  /** Rejects with `unavailable` at the deadline of the whole call. */
  within<Value>(work: Promise<Value>): Promise<Value>;
}

/** Carries out one call, whose fields are checked. Throws what becomes a problem document. */
export type Handler<Name extends CallName> = (
  input: CallInput<Name>,
  caller: Caller,
) => CallAnswer<Name> | Promise<CallAnswer<Name>>;
export type Handlers = { readonly [Name in CallName]: Handler<Name> };

export interface CallOptions {
  /** The one deadline of a whole call, in milliseconds. */
  readonly timeoutMs: number;
  /** Most bytes of one call's body. */
  bodyBytes(name: CallName): number;
  /** The name of the API key that a request was let in by. */
  keyOf(response: Response): string;
  /** Takes from the budget of the API key, and tells what is left in the answer. Throws `rate_limited`. */
  spend(response: Response, count: number): void;
  served(name: CallName): void;
  /** A part of a call broke; `requestId` is told in its answer. */
  failed(name: CallName, requestId: string, error: unknown): void;
}

/** A route for each call. Fields are checked in the order path, query, body; each refusal names the field. */
export function callRoutes(handlers: Handlers, options: CallOptions): Router {
  const router = Router();
  for (const name of Object.keys(CALLS) as CallName[]) {
    const row: CallRow = CALLS[name];
    const path = row.path.replaceAll(/\{(\w+)\}/g, ":$1");
    const limit = options.bodyBytes(name);
    // Whatever the content type says: there is but one format.
    const before = row.body === undefined ? [] : [express.json({ limit, type: () => true })];
    router[row.method](path, ...before, handle(name, handlers[name], options));
  }
  return router;
}

function handle<Name extends CallName>(name: Name, handler: Handler<Name>, options: CallOptions): RequestHandler {
  const row: CallRow = CALLS[name];
  return async (request, response) => {
    // The schemas are those of this name; the compiler cannot follow a generic key through zod's types.
    const input = {
      params: checked(row.params, request.params, "the path"),
      query: checked(row.query, request.query, "the query"),
      body: row.body === undefined ? undefined : checked(row.body, request.body, "the body"),
    } as CallInput<Name>;
    const { within, stop } = startDeadline(options.timeoutMs);
    const caller: Caller = {
      key: options.keyOf(response),
      idempotencyKey: idempotencyKeyOf(request),
      spend: (count) => options.spend(response, count),
      failed: (error) => options.failed(name, requestIdOf(request, response), error),
      within: within.parts,
    };
    try {
      const answer = await within.whole(Promise.resolve(handler(input, caller)));
      response.status(row.status).json(answer);
      options.served(name);
    } finally {
      stop();
    }
  };
}

/** The parts of a call end a turn before the whole of it, so that an answer can say which of them were not done in time. */
function startDeadline(timeoutMs: number) {
  const parts = Promise.withResolvers<never>();
  const whole = Promise.withResolvers<never>();
  for (const { promise } of [parts, whole]) promise.catch(() => undefined);
  const timer = setTimeout(() => {
    parts.reject(new RoomcastError("unavailable"));
    setImmediate(() => whole.reject(new RoomcastError("unavailable")));
  }, timeoutMs);
  const until =
    (end: Promise<never>) =>
    <Value>(work: Promise<Value>) =>
      Promise.race([work, end]);
  return {
    within: { parts: until(parts.promise), whole: until(whole.promise) },
    stop: () => clearTimeout(timer),
  };
}

/** Whether everything is in an answer that is put together from many parts, and what is not. */
export function completeness(missing: readonly string[]): { complete: boolean; missing?: string[] } {
  return missing.length === 0 ? { complete: true } : { complete: false, missing: [...missing] };
}

function checked(schema: z.ZodType, input: unknown, whole: string): unknown {
  const result = checkFields(schema, input, whole);
  if (!result.ok) throw new RoomcastError("bad_request", result.problems.join("; "));
  return result.value;
}

/** The header as it is, or without the quotes that its draft standard puts around it. */
function idempotencyKeyOf(request: Request): string | undefined {
  const header = request.get("Idempotency-Key");
  if (header === undefined) return undefined;
  const result = checkFields(idSchema, /^"(.*)"$/.exec(header)?.[1] ?? header, "Idempotency-Key");
  if (!result.ok) throw new RoomcastError("bad_request", result.problems.join("; "));
  return result.value;
}
