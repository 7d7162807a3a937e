import type { Job } from "bullmq";
import { expect, it } from "vitest";
import { BOUNDS } from "../../src/protocol.ts";
import { QueuedDeadLetters } from "../../src/webhooks/dead-letters.ts";
import type { Batch, EndpointQueue } from "../../src/webhooks/endpoint-queue.ts";

const DELIVERIES = 7;

/** An endpoint's dead deliveries, each of so many bytes. */
function queueOf(bytes: number): Pick<EndpointQueue, "endpoint" | "deadIds" | "findDead" | "replay"> {
  const data: Batch = { since: 1, count: 1, events: JSON.stringify([{ text: "x".repeat(bytes) }]) };
  const job = { data, attemptsMade: 3, failedReason: "503" } as Job<Batch>;
  return {
    endpoint: { name: "orders" } as EndpointQueue["endpoint"],
    deadIds: async () => Array.from({ length: DELIVERIES }, (_, index) => ({ id: `msg_${index}`, at: index })),
    findDead: async () => job,
    replay: async () => false,
  };
}

async function pagesOf(bytes: number, limit: number): Promise<number[]> {
  const letters = new QueuedDeadLetters([queueOf(bytes)], (error) => error as Error);
  const pages: number[] = [];
  const ids = new Set<string>();
  let cursor: string | undefined;
  do {
    const page = await letters.list(cursor, limit);
    pages.push(page.deliveries.length);
    for (const { id } of page.deliveries) ids.add(id);
    cursor = page.cursor;
  } while (cursor !== undefined);
  expect(ids.size).toBe(DELIVERIES);
  return pages;
}

it("[G9] a page of dead deliveries ends by their number, and by their bytes, and the cursor goes on from there", async () => {
  expect(await pagesOf(10, 3)).toEqual([3, 3, 1]);
  expect(await pagesOf(10, 100)).toEqual([7]);
  expect(await pagesOf(BOUNDS.pageBytes / 2, 100)).toEqual([2, 2, 2, 1]);
  expect(await pagesOf(2 * BOUNDS.pageBytes, 100)).toEqual([1, 1, 1, 1, 1, 1, 1]);
});
