import { signToken } from "./token.ts";

/** A polling session that is spoken by hand. */
export class RawPolling {
  readonly #url: string;

  private constructor(url: string) {
    this.#url = url;
  }

  /** Engine.IO's handshake, and Socket.IO's with a good token. */
  static async connect(url: string): Promise<RawPolling> {
    const base = `${url}/socket.io/?EIO=4&transport=polling`;
    const { sid } = JSON.parse((await (await fetch(base)).text()).slice(1)) as { sid: string };
    const polling = new RawPolling(`${base}&sid=${encodeURIComponent(sid)}`);
    await polling.post(`40${JSON.stringify({ token: await signToken() })}`);
    while (!(await polling.poll()).includes('42["welcome"'));
    return polling;
  }

  /** Sends a payload, whatever it is; answers with the HTTP status. */
  async post(payload: string | Uint8Array<ArrayBuffer>): Promise<number> {
    const response = await fetch(this.#url, {
      method: "POST",
      body: payload,
      headers: { "content-type": "text/plain;charset=UTF-8" },
    });
    await response.arrayBuffer();
    return response.status;
  }

  /** What waits for this session, or the empty string where it is over. */
  async poll(): Promise<string> {
    return await this.#answer(await fetch(this.#url));
  }

  /** As `poll`; where nothing comes for `patienceMs` the session is given up. */
  async pollOrLeave(patienceMs: number): Promise<string> {
    try {
      return await this.#answer(await fetch(this.#url, { signal: AbortSignal.timeout(patienceMs) }));
    } catch (error) {
      if (error instanceof DOMException && error.name === "TimeoutError") return "";
      throw error;
    }
  }

  async #answer(response: Response): Promise<string> {
    const text = await response.text();
    return response.ok ? text : "";
  }

  /** Engine.IO's close packet. */
  async close(): Promise<void> {
    await this.post("1");
  }
}
