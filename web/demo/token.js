/** Where the page's tokens come from: the node's `POST /dev/token`, or one that was pasted. */

/** A token with less than this left, in milliseconds, is not used for a new connection. */
const MIN_LEFT_MS = 15_000;
const FETCH_TIMEOUT_MS = 8_000;

/** Asks the node for tokens of one user. */
export class DevTokens {
  renewable = true;
  #who;
  #token;
  #expiresAt = 0;

  constructor(subject, name) {
    this.#who = { sub: subject, name };
  }

  /** The token in use, or a new one if that is about to expire. */
  async current() {
    if (this.#expiresAt - Date.now() > MIN_LEFT_MS) return this.#token;
    return this.renew();
  }

  /** A new token. Rejects with a sentence to show. */
  async renew() {
    const response = await fetch("/dev/token", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(this.#who),
      signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
    }).catch((cause) => {
      throw new Error("No node answers. Is the server running?", { cause });
    });
    if (!response.ok) throw new Error(await refusal(response));
    const { token, expiresAt } = await response.json();
    this.#token = token;
    this.#expiresAt = expiresAt;
    return token;
  }
}

/** One token for as long as it lasts. */
export class PastedToken {
  renewable = false;
  #token;

  constructor(token) {
    this.#token = token;
  }

  async current() {
    return this.#token;
  }
}

async function refusal(response) {
  if (response.status === 404) return "This server gives out no tokens for trying. Paste one of your own below.";
  const problem = await response.json().catch(() => ({}));
  const reason = problem.detail ?? problem.message ?? problem.error?.message ?? problem.title ?? "no reason given";
  return `The server gave no token: ${reason} (${response.status}).`;
}
