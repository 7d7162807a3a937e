const ASK_TIMEOUT_MS = 10_000;

/** What a server started with `probed` tells (probe.ts). */
export interface Probed {
  /** For how long the event loop was held at most since it was asked last, in milliseconds. */
  readonly maxDelayMs: number;
}

/** Asks a server about its event loop, or (`collect`) makes it collect garbage. */
export async function probe(port: number, what: "delay" | "collect"): Promise<Probed> {
  const signal = AbortSignal.timeout(ASK_TIMEOUT_MS);
  const answer = await fetch(`http://127.0.0.1:${port}/${what}`, { signal });
  return (await answer.json()) as Probed;
}
