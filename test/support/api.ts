import { API_KEY } from "./token.ts";

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The answer's JSON, for a test that knows what it asked for. */
  // biome-ignore lint/suspicious/noExplicitAny: each call answers something else, and tests compare it as a whole.
  readonly body: any;
}

interface ApiOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** The API key; the tests' own by default. */
  readonly key?: string;
}

/** Calls `/v1` of one node, over real HTTP: `api("POST", "/messages", { body })`. */
export type Api = (method: string, path: string, options?: ApiOptions) => Promise<ApiAnswer>;

export function apiOf(origin: string | undefined): Api {
  return async (method, path, { body, headers, key = API_KEY } = {}) => {
    const answer = await fetch(`${origin}/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, ...headers },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    return { status: answer.status, headers: answer.headers, body: await answer.json() };
  };
}
