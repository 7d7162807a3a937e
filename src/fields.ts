import type * as z from "zod";

/** What came of checking outside input: the parsed value, or one sentence for each wrong field, e.g. `limit must be …`. */
export type Checked<Value> = { ok: true; value: Value } | { ok: false; problems: readonly string[] };

const NOUNS: Readonly<Record<string, string>> = {
  array: "a list",
  boolean: "true or false",
  int: "a whole number",
  nan: "a number",
  number: "a number",
  object: "an object",
  record: "an object",
  string: "a text",
};

function noun(expected: string): string {
  return NOUNS[expected] ?? expected;
}

/** What a size counts, where it is not the value itself. */
function unit(origin: string): string {
  if (origin === "string") return " characters";
  return origin === "array" ? " items" : "";
}

function says(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.input === undefined && issue.code !== "custom") return "is required";
  switch (issue.code) {
    case "invalid_type":
      return `must be ${noun(issue.expected)}`;
    case "invalid_value":
      return `must be ${issue.values.length === 1 ? "" : "one of "}${issue.values.join(", ")}`;
    case "invalid_union":
      return "has a form that is not allowed here";
    case "too_small":
      return `must be ${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}${unit(issue.origin)}`;
    case "too_big":
      return `must be ${issue.inclusive === false ? "less than" : "at most"} ${issue.maximum}${unit(issue.origin)}`;
    case "unrecognized_keys":
      return `has unknown fields: ${issue.keys.join(", ")}`;
    default:
      return undefined;
  }
}

function pathText(path: readonly PropertyKey[]): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (typeof step === "string" && /^[A-Za-z_$][\w$]*$/.test(step)) text += text === "" ? step : `.${step}`;
    else text += `[${JSON.stringify(String(step))}]`;
  }
  return text;
}

/**
 * Checks input against a schema and says in words which fields are wrong. `whole` names the input itself where nothing
 * smaller is at fault, e.g. `the request must be an object`; `under` is the path to the input within something larger.
 */
export function checkFields<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
  whole: string,
  under: readonly string[] = [],
): Checked<z.output<Schema>> {
  const result = schema.safeParse(input, { error: says });
  if (result.success) return { ok: true, value: result.data };
  return {
    ok: false,
    problems: result.error.issues.map((issue) => {
      const path = pathText([...under, ...issue.path]);
      return `${path === "" ? whole : path} ${issue.message}`;
    }),
  };
}
