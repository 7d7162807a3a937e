/** Counters that show that the faults were felt, by what they are called in the output. */
const COUNTERS = {
  "gaps repaired": "roomcast_gaps_repaired_total",
  "slow readers": "roomcast_slow_readers_total",
  "requests refused": "roomcast_requests_refused_total",
  resyncs: "roomcast_resyncs_total",
} as const;

/** What the nodes that run at the end have counted, summed up: `3 gaps repaired, 0 slow readers, …`. */
export async function countedBy(adminUrls: readonly string[]): Promise<string> {
  const pages = await Promise.all(
    adminUrls.map(async (url) => {
      const answer = await fetch(`${url}/metrics`);
      return answer.ok ? await answer.text() : "";
    }),
  );
  return Object.entries(COUNTERS)
    .map(([title, name]) => `${pages.reduce((sum, page) => sum + total(page, name), 0)} ${title}`)
    .join(", ");
}

/** Over all labels. */
function total(page: string, name: string): number {
  const lines = page.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"));
  return [...lines].reduce((sum, [, value]) => sum + Number(value), 0);
}
