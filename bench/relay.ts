import { connect, createServer, type Server, type Socket } from "node:net";
import { eachStamp } from "./load/stamp.ts";

/** What came through a relay, from Redis to the node. */
export interface Relayed {
  readonly bytes: number;
  /** Messages of the load, however they were wrapped. */
  readonly messages: number;
}

/** Stands between one node and Redis and counts what Redis sends to it. */
export class Relay {
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #bytes = 0;
  #messages = 0;

  /** Listens in front of this Redis; returns the address that the node uses instead. */
  async start(redisUrl: string): Promise<string> {
    const { port, hostname } = new URL(redisUrl);
    const server = createServer((node) => this.#join(node, connect(Number(port), hostname)));
    this.#server = server;
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("the relay has no port");
    return `redis://127.0.0.1:${address.port}`;
  }

  counts(): Relayed {
    return { bytes: this.#bytes, messages: this.#messages };
  }

  stop(): void {
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(node: Socket, redis: Socket): void {
    for (const [from, to] of [
      [node, redis],
      [redis, node],
    ] as const) {
      this.#sockets.add(from);
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
    redis.on("data", (chunk: Buffer) => {
      this.#bytes += chunk.length;
      eachStamp(chunk, 0, chunk.length, () => {
        this.#messages++;
      });
    });
  }
}
