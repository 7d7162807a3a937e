import { expect, it } from "vitest";
import { CALLS } from "../../src/calls.ts";
import { describeInBrowser, openWindow } from "../support/chromium.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";

const WITHIN_MS = 20_000;

describeInBrowser("/docs", () => {
  it("shows every call under the strict policy, asks nobody else, and leads to the events", async () => {
    const cluster = await startCluster({ nodes: 1 });
    const context = await openWindow();
    const page = context.pages()[0] ?? (await context.newPage());
    const complaints: string[] = [];
    const asked = new Set<string>();
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("request", (request) =>
      asked.add(new URL(request.url()).protocol === "data:" ? "data:" : new URL(request.url()).origin),
    );
    await page.goto(`${cluster.urls[0]}/docs/`);
    const operations = page.locator(".opblock");
    await eventually(async () => expect(await operations.count()).toBe(Object.keys(CALLS).length), {
      withinMs: WITHIN_MS,
    });
    expect(complaints).toEqual([]);
    await page.getByRole("link", { name: "Requests and events" }).click();
    await eventually(async () => expect(await page.content()).toContain("memberCount"));
    expect(complaints).toEqual([]);
    expect([...asked].filter((origin) => origin !== cluster.urls[0] && origin !== "data:")).toEqual([]);
  });
});
