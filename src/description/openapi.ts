import type * as z from "zod";
import { CALLS, type CallName, type CallRow } from "../calls.ts";
import { ERRORS } from "../errors.ts";
import { VERSION } from "../version.ts";
import { type JsonSchema, jsonSchema } from "./json-schema.ts";

const ERROR_CODES = Object.keys(ERRORS);

const PROBLEM: JsonSchema = {
  type: "object",
  description: "RFC 9457",
  required: ["type", "title", "status", "detail", "code"],
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string", description: "names the field at fault" },
    code: { type: "string", enum: ERROR_CODES },
    retryAfterMs: { type: "integer", minimum: 0 },
  },
};

/** `/openapi.json`: every call of `CALLS`, by the schemas that check it. */
export function openApi(): JsonSchema {
  const paths: Record<string, Record<string, JsonSchema>> = {};
  for (const name of Object.keys(CALLS) as CallName[]) {
    const row: CallRow = CALLS[name];
    paths[row.path] = { ...paths[row.path], [row.method]: operation(name, row) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Roomcast",
      version: VERSION,
      description:
        "The calls of the application's own servers. Times are Unix milliseconds; unknown fields are ignored.",
    },
    servers: [{ url: "/v1" }],
    security: [{ apiKey: [] }],
    paths,
    components: {
      securitySchemes: { apiKey: { type: "http", scheme: "bearer", description: "one of API_KEYS" } },
      schemas: { Problem: PROBLEM },
    },
  };
}

function operation(name: CallName, row: CallRow): JsonSchema {
  const shown = row.bodyShown ?? row.body;
  return {
    operationId: name,
    summary: row.does,
    tags: [row.path.split("/")[1]],
    parameters: [...parameters("path", row.params), ...parameters("query", row.query), ...idempotencyKey(name)],
    ...(shown !== undefined && { requestBody: { required: true, content: json(jsonSchema(shown, "input")) } }),
    responses: {
      [row.status]: { description: "ok", content: json(jsonSchema(row.answer, "output")) },
      default: {
        description: "refused, or the outcome is unknown",
        content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
      },
    },
  };
}

function json(schema: JsonSchema): JsonSchema {
  return { "application/json": { schema } };
}

function parameters(where: "path" | "query", schema: z.ZodObject): JsonSchema[] {
  const fields = Object.entries(schema.shape) as [string, z.ZodType][];
  return fields.map(([name, field]) => ({
    name,
    in: where,
    required: where === "path" || !field.safeParse(undefined).success,
    schema: jsonSchema(field, "output"),
  }));
}

/** Calls that store messages take their id by a header, too. */
function idempotencyKey(name: CallName): JsonSchema[] {
  const row: CallRow = CALLS[name];
  if (row.method !== "post" || !row.path.endsWith("messages")) return [];
  return [
    {
      name: "Idempotency-Key",
      in: "header",
      required: false,
      description: "the id of the message, where the body has none",
      schema: { type: "string" },
    },
  ];
}
