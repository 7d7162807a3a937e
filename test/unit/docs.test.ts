import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import type * as z from "zod";
import { parseRoomTypes } from "../../src/auth/room-types.ts";
import { CALLS, type CallRow } from "../../src/calls.ts";
import { ERRORS, errorsTable } from "../../src/errors.ts";
import { REQUESTS, type RequestName } from "../../src/protocol.ts";
import { METRICS, type MetricRow } from "../../src/telemetry/catalogue.ts";
import { VARIABLES } from "../../src/variables.ts";

const ROOT = join(import.meta.dirname, "../..");

function read(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

function filesIn(folder: string, ending: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(ending))
    .map((file) => join(folder, file));
}

/** The rows of the one table that begins with `header`, each as its cells. */
function rows(file: string, header: string): string[][] {
  const [, table, ...others] = `\n${read(file)}`.split(`\n${header}`);
  if (table === undefined || others.length > 0) throw new Error(`${file} has no, or more than one, table ${header}`);
  const lines = (table.split("\n\n")[0] ?? "").split("\n").filter((line) => /^\| (?!---)/.test(line));
  return lines.map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** What stands in code marks, up to a colon: `since?: {epoch, seq}` is `since?`. */
function code(cell = ""): string[] {
  return [...cell.matchAll(/`([^`:]+)(?::[^`]*)?`/g)].map(([, text = ""]) => text);
}

/** The first column's names, and for each the rest of its row. */
function byName(file: string, header: string): Map<string, string[]> {
  return new Map(rows(file, header).flatMap(([first, ...rest]) => code(first).map((name) => [name, rest] as const)));
}

/** Splits at a separator, but for what stands in braces. */
function splitOutside(text: string, separator: string): string[] {
  const parts = [""];
  let depth = 0;
  for (const char of text) {
    if (char === "{") depth++;
    if (char === "}") depth--;
    if (char === separator && depth === 0) parts.push("");
    else parts[parts.length - 1] += char;
  }
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}

/** The members of `{…}` in TypeScript (by semicolon) or in the protocol's page (by comma), with their types. */
function members(braces: string, separator: string): Map<string, string> {
  const inner = braces.slice(braces.indexOf("{") + 1, braces.lastIndexOf("}"));
  return new Map(
    splitOutside(inner.replaceAll(/\/\*\*.*?\*\//gs, ""), separator)
      .filter((part) => /^\w/.test(part))
      .map((part) => {
        const [, name = "", type = ""] = /^(\w+\??)(?::(.*))?$/s.exec(part) ?? [];
        return [name, type.trim()];
      }),
  );
}

/** The members of an interface, by the text of its file: types leave nothing behind that could be asked. */
function declared(file: string, name: string): Map<string, string> {
  const body = new RegExp(`^export interface ${name} \\{\\n.*?^\\}`, "ms").exec(read(file))?.[0];
  if (body === undefined) throw new Error(`${file} declares no interface ${name}`);
  return members(body, ";");
}

/** The fields of a type in src/protocol.ts: `{…}`, the name of an interface, or a record without any. */
function fieldsOf(type: string): Map<string, string> {
  if (type.startsWith("{")) return members(type, ";");
  return type.startsWith("Record<") ? new Map() : declared("src/protocol.ts", type);
}

/** Events whose text or fields do not stand in the call itself. */
const SPELT_ELSEWHERE: readonly (readonly [string, readonly string[]])[] = [
  ["an HTTP request failed", ["requestId", "method", "path", "err"]],
  ["ready", ["host", "port", "adminPort", "apiPort"]],
  ["the room types stay as they were", ["problems", "err"]],
];

const sorted = (names: Iterable<string>): string[] => [...names].sort();
const quoted = (text: string): string[] => sorted([...text.matchAll(/"(\w+)"/g)].map(([, word = ""]) => word));

describe("README.md", () => {
  it("has the tables that the code makes", async () => {
    const script = join(ROOT, "scripts/readme-table.mjs");
    await expect(promisify(execFile)(process.execPath, [script, "--check"])).resolves.toBeDefined();
  });

  it("names every request and every event, and no other", () => {
    expect(sorted(byName("README.md", "| request |").keys())).toEqual(sorted(Object.keys(REQUESTS)));
    const events = declared("src/protocol.ts", "ServerEvents").keys();
    expect(sorted(byName("README.md", "| event |").keys())).toEqual(sorted(events));
  });
});

describe("docs/protocol.md", () => {
  const page = "docs/protocol.md";

  it("has every request with its fields, and which of them are optional", () => {
    const table = byName(page, "| request |");
    expect(sorted(table.keys())).toEqual(sorted(Object.keys(REQUESTS)));
    for (const [name, [fields]] of table) {
      const { shape } = REQUESTS[name as RequestName];
      const wanted = Object.entries<z.ZodType>(shape).map(([field, schema]) =>
        schema.safeParse(undefined).success ? `${field}?` : field,
      );
      expect(sorted(code(fields)), name).toEqual(sorted(wanted));
    }
  });

  it("has what the ok ack of every request adds", () => {
    const replies = declared("src/protocol.ts", "Replies");
    const table = byName(page, "| request |");
    expect(sorted(replies.keys())).toEqual(sorted(table.keys()));
    for (const [name, [, adds]] of table) {
      expect(sorted(code(adds)), name).toEqual(sorted(fieldsOf(replies.get(name) ?? "").keys()));
    }
  });

  it("has every event with its payload's fields, and the reasons that they give", () => {
    const events = declared("src/protocol.ts", "ServerEvents");
    const table = byName(page, "| event |");
    expect(events.size).toBeGreaterThan(10);
    expect(sorted(table.keys())).toEqual(sorted(events.keys()));
    for (const [name, [cell = ""]] of table) {
      const payload = /^`([^`]+)`/.exec(cell)?.[1] ?? "";
      const fields = fieldsOf(events.get(name) ?? "");
      expect(sorted(members(payload, ",").keys()), name).toEqual(sorted(fields.keys()));
      expect(quoted(payload), name).toEqual(quoted(fields.get("reason") ?? ""));
    }
    const limits = table.get("welcome")?.[0]?.split("`limits`:")[1];
    expect(sorted(code(limits))).toEqual(sorted(declared("src/protocol.ts", "WelcomeLimits").keys()));
  });

  it("has every error to the letter, and no other", () => {
    expect(read(page)).toContain(`\n${errorsTable()}\n`);
    expect(sorted(byName(page, "| code |").keys())).toEqual(sorted(Object.keys(ERRORS)));
  });
});

describe("docs/api.md", () => {
  /** A schema's fields; by `output` what an answer has, otherwise what a caller may leave out. */
  const fields = (schema: z.ZodType | undefined, output = false): string[] => {
    const shape = Object.entries((schema as z.ZodObject | undefined)?.shape ?? {}) as [string, z.ZodType][];
    return sorted(
      shape.map(([name, field]) =>
        field.safeParse(undefined).success && (!output || name !== "data") ? `${name}?` : name,
      ),
    );
  };

  it("has every call with what it does, takes and answers, and no other", () => {
    const table = rows("docs/api.md", "| call |").map(([call = "", does, query, body, ok = ""]) => ({
      call: call.replaceAll("`", ""),
      does,
      query: sorted(code(query)),
      body: sorted(code(body)),
      status: Number(ok.slice(0, 3)),
      answer: sorted(code(ok)),
    }));
    const wanted = Object.values<CallRow>(CALLS).map((row) => ({
      call: `${row.method.toUpperCase()} /v1${row.path}`,
      does: row.does,
      query: fields(row.query),
      body: fields(row.body),
      status: row.status,
      answer: fields(row.answer, true),
    }));
    expect(table).toEqual(wanted);
  });
});

describe("docs/spec.md", () => {
  const items = read("docs/spec.md")
    .split(/^- (?=\*\*G)/m)
    .slice(1)
    .map((item) => (item.split("\n\n")[0] ?? "").replaceAll(/\s+/g, " ").trim());
  const rules = items.map((text) => ({ number: /^\*\*(G[\d.]+)\*\*/.exec(text)?.[1] ?? "", text }));
  const promises = rules.filter(({ number }) => !number.includes("."));

  it("every promise has a test that quotes it, and no test quotes another", () => {
    expect(promises).toHaveLength(9);
    const titles = filesIn("test", ".test.ts").concat(filesIn("test/contract", ".ts")).map(read).join("\n");
    const inTitles = new Set([...titles.matchAll(/\[(G\d+)\]/g)].map(([, rule = ""]) => rule));
    expect(sorted(inTitles)).toEqual(sorted(promises.map(({ number }) => number)));
  });

  it("rules are numbered one after the other", () => {
    for (const [index, { number }] of promises.entries()) {
      expect(number).toBe(`G${index + 1}`);
      const finer = rules.filter((rule) => rule.number.startsWith(`${number}.`)).map((rule) => rule.number);
      expect(finer).toEqual(finer.map((_, at) => `${number}.${at + 1}`));
      expect(finer.length).toBeGreaterThan(0);
    }
  });

  it("every finer rule names tests that are there, or says that there is none yet", () => {
    for (const { number, text } of rules.filter((rule) => rule.number.includes("."))) {
      const tests = [...text.matchAll(/`(test\/[^`]+)` "([^"]+)"/g)];
      if (!text.endsWith(" Test: none yet.")) expect(tests.length, number).toBeGreaterThan(0);
      for (const [, file = "", title = ""] of tests) {
        expect(existsSync(join(ROOT, file)), `${number}: ${file}`).toBe(true);
        expect(read(file).includes(title), `${number}: ${file} "${title}"`).toBe(true);
      }
    }
  });
});

describe("docs/operations.md", () => {
  const page = "docs/operations.md";

  it("has every metric of ours with its labels, kind and help, and no other", () => {
    const ours = Object.entries<MetricRow>(METRICS).map(([name, { kind, help, labels = {} }]) =>
      [name, ...Object.keys(labels), kind, help].join(" "),
    );
    const table = rows(page, "| metric |").map(([name, labels, ...rest]) =>
      [...code(name), ...code(labels), ...rest].join(" "),
    );
    expect(ours.length).toBeGreaterThan(10);
    expect(sorted(table)).toEqual(sorted(ours));
  });

  /** Every line that the sources log: its text, and the fields that stand in the call. */
  const logged = (): Map<string, Set<string>> => {
    const events = new Map<string, Set<string>>();
    const note = (text = "", fields: readonly string[] = []) => {
      const known = events.get(text) ?? new Set();
      for (const field of fields) known.add(field);
      events.set(text, known);
    };
    for (const file of filesIn("src", ".ts").filter((name) => !name.startsWith("src/local/"))) {
      const source = read(file);
      const calls = /\blog\.(?:fatal|error|warn|info|debug)\(\s*(?:\{([^{}]*)\},\s*)?"([^"]+)"/g;
      for (const [, fields = "", text] of source.matchAll(calls))
        note(
          text,
          [...fields.matchAll(/(?:^|,)\s*(\w+)/g)].map(([, name = ""]) => name),
        );
      // A hook's name is one word, and a field of its line.
      for (const [, text] of source.matchAll(/\bfailed\("(\w+ [^"]+)"[,)]/g)) note(text, ["err"]);
      const others = source.match(/\blog\.(?:fatal|error|warn|info|debug)\(/g)?.length ?? 0;
      const plain = source.match(calls)?.length ?? 0;
      if (others > plain) unreadable.push(...Array.from({ length: others - plain }, () => file));
    }
    return events;
  };
  const unreadable: string[] = [];

  it("has every field of log lines, and no other", () => {
    const fields = [...declared("src/telemetry/log.ts", "LogFields").keys()].map((field) => field.replace("?", ""));
    expect(sorted(byName(page, "| field |").keys())).toEqual(sorted(fields));
  });

  it("has every event that is logged with its fields, and no other", () => {
    const known = logged();
    // Calls that a pattern cannot read: their text or fields are made elsewhere.
    for (const [text, fields] of SPELT_ELSEWHERE) known.set(text, new Set(fields));
    expect(sorted(unreadable)).toEqual([
      "src/http/problem.ts",
      "src/main.ts",
      "src/main.ts",
      "src/node.ts",
      "src/node.ts",
      "src/redis-store.ts",
      "src/redis-store.ts",
      "src/redis-store.ts",
    ]);
    const table = new Map(
      rows(page, "| level | event |").flatMap(([, events = "", fields]) =>
        [...events.matchAll(/`([^`]+)`/g)].map(([, text = ""]) => [text, code(fields)] as const),
      ),
    );
    expect(sorted(table.keys())).toEqual(sorted(known.keys()));
    for (const [text, fields] of table) expect(sorted(fields), text).toEqual(sorted(known.get(text) ?? []));
    const allowed = new Set(byName(page, "| field |").keys());
    for (const [text, fields] of known) for (const field of fields) expect(allowed, text).toContain(field);
  });
});

describe("room types in docs/operations.md", () => {
  const table = rows("docs/operations.md", "| setting of a type |");
  const presence = { upToMembers: 1_000_000, againBelowMembers: 0 };
  /** Problems with a type that has one field of this value. */
  const problems = (field: string, value: unknown): readonly string[] => {
    const type = field.split(".").reduceRight((inner, name) => ({ [name]: inner }), value);
    const parsed = parseRoomTypes({ chat: type }, presence);
    return parsed.ok ? [] : parsed.problems;
  };

  it("has every field of the file, and no other", () => {
    const [, schema = ""] = /^const typeSchema(.*?)^ {2}\.refine/ms.exec(read("src/auth/room-types.ts")) ?? [];
    const named = new Set([...schema.matchAll(/^\s+(\w+): (?:z\b|grantsSchema)/gm)].map(([, name = ""]) => name));
    expect(new Set(table.flatMap(([field]) => code(field).flatMap((path) => path.split("."))))).toEqual(named);
  });

  it("has the bounds to the last one", () => {
    let bounded = 0;
    for (const [cell, , bounds = ""] of table) {
      const [field = ""] = code(cell);
      const [, least, most] =
        /^([\d,]+) to ([\d,]+)/.exec(bounds)?.map((text) => Number(text.replaceAll(",", ""))) ?? [];
      if (least === undefined || most === undefined) continue;
      bounded += 1;
      for (const value of [least, most]) expect(problems(field, value), `${field} ${value}`).toEqual([]);
      for (const value of [least - 1, most + 1]) expect(problems(field, value), `${field} ${value}`).toHaveLength(1);
    }
    expect(bounded).toBe(6);
  });

  it("has an example that is taken, with the defaults for what it leaves out", () => {
    const [, example = ""] = /```json\n(\{\n {2}"chat".*?)```/s.exec(read("docs/operations.md")) ?? [];
    const parsed = parseRoomTypes(JSON.parse(example), presence);
    if (!parsed.ok) throw new Error(parsed.problems.join("; "));
    const defaultOf = (path: string) => {
      const [, text = ""] = table.find(([cell]) => code(cell).includes(path)) ?? [];
      return Number.parseInt(text.replaceAll(",", ""), 10);
    };
    const { retention, maxMembers } = parsed.types.of("chat:1");
    expect(retention).toEqual({
      maxMessages: defaultOf("history.maxMessages"),
      maxBytes: defaultOf("history.maxBytes"),
      maxAgeMs: defaultOf("history.maxAgeSeconds") * 1_000,
    });
    expect(maxMembers).toBe(200);
    expect(parsed.types.of("news:1").maxMembers).toBe(defaultOf("maxMembers"));
  });
});

describe("documents", () => {
  const all = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", ...filesIn("docs", ".md")];

  it("name no file that is not there", () => {
    const missing = all.flatMap((file) => {
      const links = [...read(file).matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path = ""]) =>
        join(dirname(file), path),
      );
      const sources = [...read(file).matchAll(/`((?:src|test|scripts|deploy)\/[\w./-]+\.\w+)`/g)].map(
        ([, path = ""]) => path,
      );
      return [...links, ...sources].filter((path) => !existsSync(join(ROOT, path))).map((path) => `${file}: ${path}`);
    });
    expect(missing).toEqual([]);
  });

  it("name no variable that neither a node nor docker-compose.yml reads, nor the image sets", () => {
    const ofNodes = Object.keys(VARIABLES).flatMap((name) => [name, `${name}_FILE`]);
    const ofCompose = [...read("docker-compose.yml").matchAll(/\$\{([A-Z_]+)/g)].map(([, name = ""]) => name);
    const ofImage = [...read("Dockerfile").matchAll(/^ENV (.*)$/gm)].flatMap(([, line = ""]) =>
      line.split(" ").map((setting) => setting.split("=", 1)[0] ?? ""),
    );
    const known = new Set([...ofNodes, ...ofCompose, ...ofImage]);
    const unknown = all
      .filter((file) => file !== "CONTRIBUTING.md")
      .flatMap((file) =>
        [...read(file).matchAll(/`([A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`/g)]
          .filter(([, name = ""]) => !known.has(name))
          .map(([, name = ""]) => `${file}: ${name}`),
      );
    expect(unknown).toEqual([]);
  });
});
