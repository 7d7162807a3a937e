import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
/** The product, and its load tests, which are a package of their own. */
const PACKAGES = ["", "load/"];

interface Locked {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
}

const read = (file: string) => readFileSync(join(ROOT, file), "utf8");

function lockOf(folder: string): [path: string, locked: Locked][] {
  const { packages } = JSON.parse(read(`${folder}package-lock.json`)) as { packages: Record<string, Locked> };
  return Object.entries(packages).filter(([path]) => path !== "");
}

const nameOf = (path: string) => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);

describe.each(PACKAGES)("%spackage.json", (folder) => {
  const manifest = JSON.parse(read(`${folder}package.json`)) as Record<string, Record<string, unknown>>;

  it("says of every package that has an install script whether it may run, and npm refuses any other", () => {
    const withScripts = lockOf(folder).filter(([, { hasInstallScript }]) => hasInstallScript);
    const listed = Object.keys(manifest.allowScripts ?? {});
    expect(withScripts.map(([path]) => nameOf(path)).filter((name) => !listed.includes(name))).toEqual([]);
    expect(read(`${folder}.npmrc`)).toMatch(/^strict-allow-scripts=true$/m);
  });

  it("names exact versions, and the lock has a checksum of every package", () => {
    for (const kind of ["dependencies", "devDependencies"]) {
      for (const [name, version] of Object.entries(manifest[kind] ?? {})) {
        expect(version, name).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
      }
    }
    for (const [path, { integrity, link }] of lockOf(folder)) {
      if (link !== true) expect(integrity, path).toMatch(/^sha512-/);
    }
  });
});

describe("Dockerfile", () => {
  it("installs without any package's own scripts, and only what production needs", () => {
    const installs = read("Dockerfile").match(/^RUN npm ci.*$/gm) ?? [];
    expect(installs).toHaveLength(2);
    for (const line of installs) expect(line).toContain("--ignore-scripts");
    expect(read("Dockerfile")).toMatch(/^USER node$/m);
  });
});
