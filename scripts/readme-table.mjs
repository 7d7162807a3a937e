// Writes the table of variables into README.md from the configuration's schema. With --check it changes nothing, and
// fails where the table is not the one that the schema makes.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { variablesTable } from "../src/variables.ts";

const START = "<!-- variables:start -->";
const END = "<!-- variables:end -->";

const readme = process.argv.slice(2).find((argument) => !argument.startsWith("--"));
const path = readme ?? fileURLToPath(new URL("../README.md", import.meta.url));
const text = readFileSync(path, "utf8");
const start = text.indexOf(START);
const end = text.indexOf(END, start);
if (start === -1 || end === -1) {
  console.error(`${path} has no ${START} … ${END}`);
  process.exit(1);
}
const updated = `${text.slice(0, start + START.length)}\n${variablesTable()}\n${text.slice(end)}`;
if (updated === text) {
  console.log("The table of variables is up to date.");
} else if (process.argv.includes("--check")) {
  console.error("The table of variables in README.md is out of date: run node scripts/readme-table.mjs");
  process.exit(1);
} else {
  writeFileSync(path, updated);
  console.log("The table of variables was written anew.");
}
