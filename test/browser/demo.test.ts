import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { describeInBrowser, openWindow } from "../support/chromium.ts";
import { eventually } from "../support/eventually.ts";
import { startLocalCluster } from "../support/local-cluster.ts";

const WITHIN_MS = 20_000;
const MOST_WINDOWS = 12;

/** A page in the room, and everything that it complained of. */
interface Visitor {
  readonly page: Page;
  readonly complaints: string[];
}

/** What a page may complain of: its node was killed, and the connection to it with it. */
const TOLERATED = /WebSocket connection|net::ERR_|Failed to load resource/;

async function visit(url: string, name: string, room = "chat:browser"): Promise<Visitor> {
  const context = await openWindow();
  const page = context.pages()[0] ?? (await context.newPage());
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" && !TOLERATED.test(message.text())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(`${url}/#room=${encodeURIComponent(room)}&name=${name}`);
  await live(page);
  return { page, complaints };
}

async function live(page: Page): Promise<void> {
  await eventually(async () => expect(await page.getByTestId("status").innerText()).toBe("Live"), {
    withinMs: WITHIN_MS,
  });
}

const nodeOf = (page: Page) => page.getByTestId("node").innerText();

async function say(page: Page, text: string): Promise<void> {
  await page.getByTestId("composer").fill(text);
  await page.getByTestId("composer").press("Enter");
}

/** The messages of a page in their order: number and id. */
function messagesOf(page: Page): Promise<string[]> {
  return page
    .locator("#messages > li[data-seq]")
    .evaluateAll((rows) => rows.map((row) => `${row.getAttribute("data-seq")} ${row.getAttribute("data-id")}`));
}

async function expectSame(pages: readonly Page[], count: number): Promise<void> {
  await eventually(
    async () => {
      const seen = await Promise.all(pages.map(messagesOf));
      for (const messages of seen) expect(messages).toEqual(seen[0]);
      expect(seen[0]).toHaveLength(count);
      expect(new Set(seen[0]).size).toBe(count);
    },
    { withinMs: WITHIN_MS },
  );
}

describeInBrowser("the demo in a browser", () => {
  it("two people on two nodes talk, see each other type, reload, and lose nothing when a node is killed", async () => {
    const { url } = await startLocalCluster();
    const ada = await visit(url, "Ada");
    let grace = await visit(url, "Grace");
    for (let more = 0; (await nodeOf(grace.page)) === (await nodeOf(ada.page)); more++) {
      expect(more).toBeLessThan(MOST_WINDOWS);
      await grace.page.context().close();
      grace = await visit(url, "Grace");
    }
    const pages = [ada.page, grace.page];
    await say(ada.page, "Good morning, Grace.");
    await say(grace.page, "Good morning, Ada. Which node are you on?");
    await expectSame(pages, 2);
    await eventually(async () => {
      for (const page of pages)
        expect(await page.getByTestId("members").innerText()).toMatch(/Ada[\s\S]*Grace|Grace[\s\S]*Ada/);
    });
    await ada.page.getByTestId("composer").pressSequentially("I am on");
    await eventually(async () => expect(await grace.page.getByTestId("typing").innerText()).toContain("Ada"));
    await say(ada.page, `I am on ${await nodeOf(ada.page)}.`);
    await expectSame(pages, 3);

    await grace.page.reload();
    await live(grace.page);
    await expectSame(pages, 3);

    const killed = await nodeOf(grace.page);
    await grace.page.getByTestId("kill").click();
    await say(ada.page, "Are you still there?");
    await eventually(async () => expect(await nodeOf(grace.page)).not.toMatch(new RegExp(`^(${killed}|–)$`)), {
      withinMs: WITHIN_MS,
    });
    await live(grace.page);
    await live(ada.page);
    await say(grace.page, "Yes, by another node, and nothing is missing.");
    await expectSame(pages, 5);
    if (process.env.SCREENSHOT !== undefined) {
      await ada.page.setViewportSize({ width: 1100, height: 700 });
      await ada.page.screenshot({ path: process.env.SCREENSHOT });
    }
    expect([...ada.complaints, ...grace.complaints]).toEqual([]);
  });

  it("can be entered and used by keyboard, and fits a narrow phone", async () => {
    const { url } = await startLocalCluster();
    const context = await openWindow({ viewport: { width: 320, height: 640 } });
    const page = context.pages()[0] ?? (await context.newPage());
    await page.goto(url);
    await page.getByTestId("name").focus();
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.type("Ada");
    await page.keyboard.press("Enter");
    await live(page);
    await page.getByTestId("composer").focus();
    await page.keyboard.type("By keyboard alone");
    await page.keyboard.press("Enter");
    await eventually(async () => expect(await messagesOf(page)).toHaveLength(1));
    const overflow = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth");
    expect(overflow).toBeLessThanOrEqual(0);
  });
});
