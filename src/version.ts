import { readFileSync } from "node:fs";

/** The package's version: `package.json` stands beside `src/` as beside `dist/`. */
export const VERSION: string = String(
  (JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: unknown }).version,
);
