import { readFileSync } from "node:fs";
import { VARIABLES, type Values, type Variable } from "./variables.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** The user and the password of a URL. */
const WITH_PASSWORD = /:\/\/[^/]*@/;

type Text = { kind: "unset" } | { kind: "text"; from: string; text: string } | { kind: "problem"; problem: string };

/** Why a file cannot be read, in one word where the system has one: `ENOENT`. */
export function readFailure(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

function textOf(env: Environment, name: string, secret: boolean): Text {
  const text = env[name] ?? "";
  const fileName = `${name}_FILE`;
  const file = secret ? (env[fileName] ?? "") : "";
  if (file === "") return text === "" ? { kind: "unset" } : { kind: "text", from: name, text };
  if (text !== "") return { kind: "problem", problem: `${name} and ${fileName} must not both be set` };
  try {
    const content = readFileSync(file, "utf8").replace(/[\r\n]+$/, "");
    if (content === "") return { kind: "problem", problem: `${fileName} names an empty file: ${file}` };
    return { kind: "text", from: fileName, text: content };
  } catch (error) {
    return {
      kind: "problem",
      problem: `${fileName} names a file that cannot be read (${readFailure(error)}): ${file}`,
    };
  }
}

/** What the environment holds, each variable by itself; those that are `wrong` have their fallback in `values`. */
export interface ReadValues {
  readonly values: Values;
  readonly wrong: ReadonlySet<string>;
  readonly problems: readonly string[];
}

/** Reads every variable, or the file that its `…_FILE` names. A secret's text is never part of a problem, nor is a URL's password. */
export function readValues(env: Environment): ReadValues {
  const values: Record<string, unknown> = {};
  const wrong = new Set<string>();
  const problems: string[] = [];
  for (const [name, variable] of Object.entries<Variable<unknown>>(VARIABLES)) {
    values[name] = variable.fallback;
    const read = textOf(env, name, variable.secret);
    if (read.kind === "unset") continue;
    if (read.kind === "problem") {
      wrong.add(name);
      problems.push(read.problem);
      continue;
    }
    const parsed = variable.schema.safeParse(read.text);
    if (parsed.success) {
      values[name] = parsed.data;
      continue;
    }
    wrong.add(name);
    const given = variable.secret || WITH_PASSWORD.test(read.text) ? "" : `, not ${JSON.stringify(read.text)}`;
    problems.push(`${read.from} ${parsed.error.issues[0]?.message}${given}`);
  }
  return { values: values as unknown as Values, wrong, problems };
}
