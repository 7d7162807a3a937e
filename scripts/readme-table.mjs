// Writes the generated tables into README.md: the variables from the configuration's schema, the errors from the one table.
// With --check it changes nothing, and fails where a table is not the one that the code makes.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { errorsTable } from "../src/errors.ts";
import { variablesTable } from "../src/variables.ts";

const TABLES = { variables: variablesTable, errors: errorsTable };

/** The text with one table between its marks, or nothing where the marks are missing. */
function withTable(text, name, table) {
  const start = `<!-- ${name}:start -->`;
  const from = text.indexOf(start);
  const to = text.indexOf(`<!-- ${name}:end -->`, from);
  if (from === -1 || to === -1) return undefined;
  return `${text.slice(0, from + start.length)}\n${table()}\n${text.slice(to)}`;
}

const readme = process.argv.slice(2).find((argument) => !argument.startsWith("--"));
const path = readme ?? fileURLToPath(new URL("../README.md", import.meta.url));
const text = readFileSync(path, "utf8");
let updated = text;
for (const [name, table] of Object.entries(TABLES)) {
  const next = withTable(updated, name, table);
  if (next === undefined) {
    console.error(`${path} has no <!-- ${name}:start --> … <!-- ${name}:end -->`);
    process.exit(1);
  }
  updated = next;
}
if (updated === text) {
  console.log("The tables are up to date.");
} else if (process.argv.includes("--check")) {
  console.error(`The tables in ${path} are out of date: run node scripts/readme-table.mjs`);
  process.exit(1);
} else {
  writeFileSync(path, updated);
  console.log("The tables were written anew.");
}
