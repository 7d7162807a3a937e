import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { freePort } from "../../src/local/ports.ts";
import { stopsWithTest } from "./teardown.ts";

export interface ReceivedEvent {
  readonly id: string;
  readonly type: string;
  readonly timestamp: string;
  // biome-ignore lint/suspicious/noExplicitAny: each type of event has other fields, and tests compare them as a whole.
  readonly data: any;
}

export interface Delivery {
  readonly id: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly events: readonly ReceivedEvent[];
  /** Whether it was answered 2xx. */
  taken: boolean;
}

export function webhookSecret(): string {
  return `whsec_${randomBytes(32).toString("base64")}`;
}

/** An application's server that takes webhooks, and checks each signature with the standard's own package. */
export class WebhookReceiver {
  readonly secret = webhookSecret();
  readonly deliveries: Delivery[] = [];
  /** What was wrong with deliveries that are not signed as they should be. */
  readonly forged: unknown[] = [];
  /** What it answers; `hang`: nothing, until it stops. */
  answer: number | "hang" = 204;
  readonly #port: number;
  #server: Server | undefined;
  readonly #hanging = new Set<ServerResponse>();

  constructor(port: number) {
    this.#port = port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/hooks`;
  }

  /** Deliveries that it is holding. */
  get held(): number {
    return this.#hanging.size;
  }

  /** Every event of deliveries that it took; some may be there twice. */
  get events(): readonly ReceivedEvent[] {
    return this.deliveries.filter(({ taken }) => taken).flatMap(({ events }) => events);
  }

  of(type: string): readonly ReceivedEvent[] {
    return this.events.filter((event) => event.type === type);
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => this.#receive(request.headers, Buffer.concat(chunks).toString(), response));
    });
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, "127.0.0.1", resolve);
    });
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    server.closeAllConnections();
    this.#hanging.clear();
    await new Promise((resolve) => server.close(resolve));
  }

  #receive(headers: IncomingHttpHeaders, body: string, response: ServerResponse): void {
    try {
      new Webhook(this.secret).verify(body, headers as Record<string, string>);
    } catch (error) {
      this.forged.push(error);
    }
    const { data } = JSON.parse(body) as { data: { events: ReceivedEvent[] } };
    const taken = typeof this.answer === "number" && this.answer < 300;
    this.deliveries.push({ id: String(headers["webhook-id"]), headers, body, events: data.events, taken });
    if (this.answer === "hang") {
      this.#hanging.add(response);
      response.on("close", () => this.#hanging.delete(response));
    } else response.writeHead(this.answer, { location: "/elsewhere" }).end();
  }
}

/** Starts a receiver. Stops with the test that called it. */
export async function startReceiver(): Promise<WebhookReceiver> {
  const receiver = new WebhookReceiver(await freePort());
  stopsWithTest(() => receiver.stop());
  await receiver.start();
  return receiver;
}

/** Writes a file for `WEBHOOKS`. Removed when the test ends. */
export async function webhooksFile(endpoints: object): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "roomcast-webhooks-"));
  stopsWithTest(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "webhooks.json");
  await writeFile(path, JSON.stringify(endpoints));
  return path;
}
