import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, type BrowserContextOptions, chromium } from "playwright-core";
import { describe, expect, it } from "vitest";
import { onPath } from "../../src/local/run-command.ts";
import { NO_REDIS, REDIS_URL } from "./run-redis.ts";
import { stopsWithTest } from "./teardown.ts";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];
/** Nothing but the page: what a browser asks of its maker by itself has no place in a test. */
const FLAGS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

async function findChromium(): Promise<string | undefined> {
  if (process.env.CHROMIUM_PATH) return process.env.CHROMIUM_PATH;
  for (const name of NAMES) {
    const path = await onPath(name);
    if (path !== undefined) return path;
  }
  return undefined;
}

const executablePath = await findChromium();
const missing =
  REDIS_URL === undefined
    ? NO_REDIS
    : executablePath === undefined
      ? "no Chromium: install chromium, or set CHROMIUM_PATH"
      : undefined;

/** `describe` for tests in a browser: skipped, with the reason in the title, where there is none; with CI=true that fails. */
export function describeInBrowser(title: string, tests: () => void): void {
  if (missing === undefined) describe(title, tests);
  else if (process.env.CI === "true") it(`${title}: has a browser`, () => expect(missing).toBeUndefined());
  else describe.skip(`${title} (skipped: ${missing})`, tests);
}

/** A browser window with nothing in it: cookies and storage of its own. Closed when the test ends. */
export async function openWindow(options: BrowserContextOptions = {}): Promise<BrowserContext> {
  const profile = mkdtempSync(join(tmpdir(), "roomcast-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    ...(executablePath !== undefined && { executablePath }),
    args: FLAGS,
    chromiumSandbox: process.getuid?.() !== 0,
    ...options,
  });
  stopsWithTest(async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  });
  return context;
}
