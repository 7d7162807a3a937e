// npm run sbom: prints what production installs, as CycloneDX in JSON. By `npm sbom` in a folder without the development
// packages: its --omit=dev also leaves out what both need, such as ws.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

const read = (file) => JSON.parse(readFileSync(join(root, file), "utf8"));

/** A manifest, or the lock file's entry for it. */
function withoutDevelopment(manifest) {
  const { devDependencies: _left, ...rest } = manifest;
  return rest;
}

const manifest = withoutDevelopment(read("package.json"));
const lock = read("package-lock.json");
const packages = Object.entries(lock.packages)
  .filter(([, { dev }]) => dev !== true)
  .map(([path, entry]) => [path, path === "" ? withoutDevelopment(entry) : entry]);

const parent = mkdtempSync(join(tmpdir(), "roomcast-sbom-"));
try {
  // npm takes the folder's name for the component's.
  const folder = join(parent, manifest.name);
  mkdirSync(folder);
  cpSync(join(root, ".npmrc"), join(folder, ".npmrc"));
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  const kept = { ...lock, packages: Object.fromEntries(packages) };
  writeFileSync(join(folder, "package-lock.json"), JSON.stringify(kept));
  const args = ["sbom", "--package-lock-only", "--sbom-format=cyclonedx"];
  const { status } = spawnSync("npm", args, { cwd: folder, stdio: ["ignore", "inherit", "inherit"] });
  process.exitCode = status ?? 1;
} finally {
  rmSync(parent, { recursive: true, force: true });
}
