// What bench/ uses of packages that only npm run bench installs (bench/package.json): types without the packages.

declare module "@socket.io/redis-streams-adapter" {
  import type { Redis } from "ioredis";

  export function createAdapter(redis: Redis): new (nsp: unknown) => unknown;
}

declare module "ws" {
  export interface WebSocket {
    send(data: string): void;
    on(event: "message", listener: (data: Buffer) => void): this;
    on(event: "close", listener: () => void): this;
  }

  export class WebSocketServer {
    constructor(options: { host: string; port: number; perMessageDeflate: boolean });
    on(event: "connection", listener: (socket: WebSocket) => void): this;
    on(event: "listening", listener: () => void): this;
  }
}
