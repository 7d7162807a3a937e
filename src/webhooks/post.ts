import { signature } from "../auth/signed-question.ts";
import type { Endpoint } from "./endpoints.ts";

/** What is read of an answer, so that its connection can be used again, in bytes; nothing in it counts. */
const MAX_ANSWER_BYTES = 16 * 1024;

/**
 * Sends a body by `POST` with the headers of Standard Webhooks: resolves once the endpoint answered 2xx. Rejects with one
 * sentence for people where it answered anything else (a redirect too), or nothing in its time.
 */
export async function postSigned(endpoint: Endpoint, id: string, body: string, stop: AbortSignal): Promise<void> {
  const signal = AbortSignal.any([AbortSignal.timeout(endpoint.timeoutMs), stop]);
  let response: Response;
  try {
    response = await fetch(endpoint.url, {
      method: "POST",
      body,
      redirect: "manual",
      signal,
      headers: { "content-type": "application/json", "user-agent": "Roomcast", ...signed(endpoint.secrets, id, body) },
    });
  } catch (error) {
    throw new Error(reasonOf(error, endpoint.timeoutMs, stop), { cause: error });
  }
  // The status has said all that counts: a broken answer behind it is none.
  await readSome(response).catch(() => undefined);
  if (!response.ok) throw new Error(`the endpoint answered ${response.status}`);
}

/** One signature for each secret, with a space between. */
function signed(secrets: readonly Uint8Array[], id: string, body: string): Record<string, string> {
  const seconds = Math.floor(Date.now() / 1_000);
  const all = secrets.map((secret) => signature(secret, id, seconds, body));
  return { ...all[0], "webhook-signature": all.map((headers) => headers["webhook-signature"]).join(" ") };
}

async function readSome(response: Response): Promise<void> {
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_ANSWER_BYTES) break;
  }
}

function reasonOf(error: unknown, timeoutMs: number, stop: AbortSignal): string {
  if (stop.aborted) return "this node stopped before the endpoint answered";
  if (error instanceof Error && error.name === "TimeoutError") return `the endpoint did not answer in ${timeoutMs} ms`;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
  return `the endpoint could not be reached (${code})`;
}
