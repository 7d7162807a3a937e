import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { parse } from "yaml";
import { DEFAULT_SCRIPT, PLUGIN, SCRIPTS, type Script, TEXT_OPTIONS } from "./options.ts";

/** What one call of `npm run load` asks for. */
export type Call =
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "table"; readonly reports: readonly string[] }
  | {
      readonly kind: "run";
      readonly script: string;
      /** What it changes in the script's config. */
      readonly config: object;
      readonly report: string | undefined;
      readonly options: Readonly<Record<string, string>>;
    };

const LAST_PORT = 65_535;

/** How to call it: all scripts, and the options of one. */
export function usage(name: string = DEFAULT_SCRIPT): string {
  const row = ([option, { meaning }]: [string, { meaning: string }]) => `  --${option.padEnd(14)} ${meaning}`;
  const scripts = Object.entries(SCRIPTS).map(([script, { does }]) => `  ${script.padEnd(16)} ${does}`);
  const texts = Object.entries(TEXT_OPTIONS).filter(([, { of }]) => of === undefined || of === name);
  return [
    `npm run load -- [script] --target http://127.0.0.1:3000 [options]; scripts (${DEFAULT_SCRIPT} where none is named):`,
    ...scripts,
    `options of ${name} (npm run load -- SCRIPT --help for another's):`,
    ...texts.map(row),
    ...Object.entries(SCRIPTS[name]?.options ?? {}).map(row),
    "npm run load -- table REPORT… prints a table of what reports have.",
    "Tokens are signed with JWT_SECRET where it is set, else asked for at POST /dev/token of the target.",
  ].join("\n");
}

/** Throws what is wrong with the arguments, in one sentence. */
export function readCall(argv: readonly string[]): Call {
  const { positionals, tokens } = parseArgs({
    args: [...argv],
    strict: false,
    tokens: true,
    allowPositionals: true,
    options: Object.fromEntries(allOptions().map((name) => [name, { type: "string" as const }])),
  });
  const known = new Set(["help", ...allOptions()]);
  // Before all else: what is behind an option that nobody knows would be taken for a script.
  for (const token of tokens) {
    if (token.kind === "option" && !known.has(token.name)) throw new Error(`there is no option ${token.rawName}`);
  }
  const [name = DEFAULT_SCRIPT, ...others] = positionals;
  if (name === "table") return { kind: "table", reports: others };
  const script = Object.hasOwn(SCRIPTS, name) ? SCRIPTS[name] : undefined;
  if (script === undefined) throw new Error(`there is no script ${name}: ${Object.keys(SCRIPTS).join(", ")}`);
  if (others[0] !== undefined) throw new Error(`one script at a time, not ${name} and ${others[0]}`);
  const given: Record<string, string> = {};
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    if (token.name === "help") return { kind: "help", text: usage(name) };
    if (!takes(name, script, token.name)) throw new Error(`${token.rawName} is no option of ${name}`);
    if (token.value === undefined || token.value === "") throw new Error(`${token.rawName} needs a value`);
    given[token.name] = token.value;
  }
  const { report, ...options } = given;
  return { kind: "run", script: name, config: configOf(name, script, options), report, options };
}

function allOptions(): string[] {
  return [...Object.keys(TEXT_OPTIONS), ...Object.values(SCRIPTS).flatMap(({ options }) => Object.keys(options))];
}

function takes(name: string, script: Script, option: string): boolean {
  if (Object.hasOwn(script.options, option)) return true;
  if (!Object.hasOwn(TEXT_OPTIONS, option)) return false;
  const of = TEXT_OPTIONS[option]?.of;
  return of === undefined || of === name;
}

function configOf(name: string, script: Script, options: Readonly<Record<string, string>>): object {
  // Artillery puts an array in place of the file's, so that the phases have to be whole.
  const config: Holder = { phases: phasesOf(name) };
  for (const [option, text] of Object.entries(options)) {
    switch (option) {
      case "target":
        setAt(config, ["target"], httpUrl(option, text));
        break;
      case "admin":
        for (const url of text.split(",")) httpUrl(option, url);
        setAt(config, ["variables", "admin"], text);
        break;
      case "metrics-port":
        setAt(config, ["plugins", PLUGIN], { scope: "./", port: wholeNumber(option, text, LAST_PORT), script: name });
        break;
      default:
        for (const path of script.options[option]?.paths ?? []) setAt(config, path, wholeNumber(option, text));
    }
  }
  return config;
}

function phasesOf(name: string): unknown {
  const file = readFileSync(join(import.meta.dirname, `${name}.yml`), "utf8");
  return (parse(file) as { config: { phases: unknown } }).config.phases;
}

function httpUrl(option: string, text: string): string {
  if (!/^https?:$/.test(URL.parse(text)?.protocol ?? ""))
    throw new Error(`--${option} must be an http or https address`);
  return text;
}

function wholeNumber(option: string, text: string, most = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  const bound = most === Number.MAX_SAFE_INTEGER ? "from 1" : `from 1 to ${most}`;
  throw new Error(`--${option} must be a whole number ${bound}, not "${text}"`);
}

type Holder = Record<string | number, unknown>;

function setAt(holder: Holder, [key = "", ...rest]: readonly (string | number)[], value: unknown): void {
  if (rest.length === 0) {
    holder[key] = value;
    return;
  }
  holder[key] ??= typeof rest[0] === "number" ? [] : {};
  setAt(holder[key] as Holder, rest, value);
}
