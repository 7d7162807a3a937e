import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { npm } from "../support/npm.ts";

const NPM_MS = 120_000;

interface Locked {
  readonly name?: string;
  readonly version?: string;
  readonly dev?: boolean;
}

interface Component {
  readonly type: string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses?: readonly unknown[];
}

interface Sbom {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly serialNumber: string;
  readonly metadata: { readonly component: { readonly version: string; readonly purl: string } };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** `name@version` of everything that production installs, by the lock file. */
function inProduction(): string[] {
  const lock = JSON.parse(readFileSync(join(import.meta.dirname, "../../package-lock.json"), "utf8")) as {
    packages: Record<string, Locked>;
  };
  const names = Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== "" && dev !== true)
    .map(([path, { name, version }]) => `${name ?? path.slice(path.lastIndexOf("node_modules/") + 13)}@${version}`);
  return [...new Set(names)].sort();
}

// What is known of a package is known by its registry only, and a mirror need not know it.
it("[G7] no known weakness is in what production installs (npm audit)", { timeout: NPM_MS }, async ({ skip }) => {
  const { code, stdout, stderr } = await npm("audit", "--omit=dev", "--json");
  const report = JSON.parse(stdout) as { statusCode?: number; message?: string; vulnerabilities?: object };
  if (report.vulnerabilities === undefined) {
    const why = `the registry answers no audit: ${report.statusCode ?? stderr.trim().split("\n").at(0)}`;
    skip(why);
  }
  expect(Object.keys(report.vulnerabilities ?? {})).toEqual([]);
  expect(code).toBe(0);
});

it("npm run sbom is CycloneDX, and has every package of production and no other", { timeout: NPM_MS }, async () => {
  const { code, stdout, stderr } = await npm("run", "--silent", "sbom");
  expect(code, stderr).toBe(0);
  const sbom = JSON.parse(stdout) as Sbom;
  expect(sbom).toMatchObject({ bomFormat: "CycloneDX", specVersion: expect.stringMatching(/^1\.\d$/) });
  expect(sbom.serialNumber).toMatch(/^urn:uuid:[0-9a-f-]{36}$/);
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8"));
  expect(sbom.metadata.component).toMatchObject({ version, purl: `pkg:npm/roomcast@${version}` });

  const expected = inProduction();
  expect(expected).toContain("socket.io@4.8.4");
  expect([...new Set(sbom.components.map((one) => `${one.name}@${one.version}`))].sort()).toEqual(expected);
  for (const { name, version: exact, purl, hashes } of sbom.components) {
    expect(decodeURIComponent(purl)).toBe(`pkg:npm/${name}@${exact}`);
    expect(hashes?.[0], name).toMatchObject({ alg: "SHA-512", content: expect.stringMatching(/^[0-9a-f]{128}$/) });
  }
  const known = new Set(sbom.dependencies.map(({ ref }) => ref));
  for (const { ref, dependsOn } of sbom.dependencies) for (const one of dependsOn) expect(known, ref).toContain(one);
});
