/** One series of an answer, its values as Prometheus writes them, oldest first. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly values: readonly number[];
}

export interface Prometheus {
  /** What a graph of the last minute would show. Rejects with what Prometheus says against the expression. */
  range(expr: string): Promise<Series[]>;
  /** The values that a label has in the series of a selector. */
  labelValues(label: string, selector: string): Promise<string[]>;
  /** The names of all rules that it has read. */
  ruleNames(): Promise<string[]>;
}

const RANGE_SECONDS = 60;
const STEP_SECONDS = 5;

/** The HTTP API of a real Prometheus. */
export function prometheus(url: string): Prometheus {
  async function ask<Data>(path: string, query: Record<string, string>): Promise<Data> {
    const search = new URLSearchParams(query);
    const answer = (await (await fetch(`${url}/api/v1/${path}?${search}`)).json()) as { data: Data; error?: string };
    if (answer.error !== undefined) throw new Error(`${answer.error}: ${search}`);
    return answer.data;
  }
  return {
    async range(query) {
      const end = Date.now() / 1_000;
      const { result } = await ask<{ result: { metric: Record<string, string>; values: [number, string][] }[] }>(
        "query_range",
        { query, start: String(end - RANGE_SECONDS), end: String(end), step: String(STEP_SECONDS) },
      );
      return result.map(({ metric, values }) => ({ labels: metric, values: values.map(([, value]) => Number(value)) }));
    },
    async ruleNames() {
      const { groups } = await ask<{ groups: { rules: { name: string }[] }[] }>("rules", {});
      return groups.flatMap(({ rules }) => rules.map(({ name }) => name));
    },
    labelValues: (label, selector) => ask<string[]>(`label/${label}/values`, { "match[]": selector }),
  };
}
