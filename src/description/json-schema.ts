import * as z from "zod";

/** JSON Schema 2020-12, as OpenAPI 3.1 and AsyncAPI 3 take it. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * A zod schema as JSON Schema: what is taken (`input`), or what comes of it (`output`). Fields that are not named are
 * ignored, so none is forbidden; what JSON Schema cannot say stands in descriptions.
 */
export function jsonSchema(schema: z.ZodType, io: "input" | "output"): JsonSchema {
  const { $schema, ...made } = z.toJSONSchema(schema, {
    io,
    unrepresentable: "any",
    override: ({ jsonSchema: part }) => {
      if (part.additionalProperties === false) delete part.additionalProperties;
    },
  });
  return made;
}
