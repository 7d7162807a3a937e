import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Swallow } from "./fault.ts";

/** A TCP proxy that can stop passing bytes on without closing anything, as a network does that lost a route. */
export interface SwallowingProxy {
  readonly port: number;
  /**
   * From now on bytes in that direction go nowhere: on every connection there is and on each that comes. Ends of
   * connections go nowhere either.
   */
  swallow(what: Swallow): void;
  /** New connections work again. Those that have lost bytes never do: whoever holds one has to find out. */
  pass(): void;
  /** The server is another one: connections to the one before are cut, and new ones lead to this port. */
  turnTo(port: number): void;
  close(): Promise<void>;
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  readonly deaf: { requests: boolean; replies: boolean };
}

/** Starts one in front of a loopback port. */
export async function startSwallowingProxy(target: number): Promise<SwallowingProxy> {
  const links = new Set<Link>();
  let port = target;
  let now: Swallow | undefined;
  const deafen = ({ deaf }: Link, what: Swallow) => {
    deaf.requests ||= what !== "replies";
    deaf.replies ||= what !== "requests";
  };
  const listener = createServer({ noDelay: true }, (client) => {
    const server = connect({ port, host: "127.0.0.1", noDelay: true });
    const link: Link = { client, server, deaf: { requests: false, replies: false } };
    links.add(link);
    if (now !== undefined) deafen(link, now);
    carry(client, server, () => link.deaf.requests);
    carry(server, client, () => link.deaf.replies);
    const forget = () => {
      if (client.destroyed && server.destroyed) links.delete(link);
    };
    client.once("close", forget);
    server.once("close", forget);
  });
  const cutAll = () => {
    for (const { client, server } of links) {
      client.destroy();
      server.destroy();
    }
  };
  await new Promise<void>((resolve, reject) => {
    listener.once("error", reject);
    listener.listen({ port: 0, host: "127.0.0.1" }, resolve);
  });
  return {
    port: (listener.address() as AddressInfo).port,
    swallow(what) {
      now = what;
      for (const link of links) deafen(link, what);
    },
    pass() {
      now = undefined;
    },
    turnTo(next) {
      port = next;
      cutAll();
    },
    async close() {
      const closed = new Promise<void>((resolve) => {
        listener.close(() => resolve());
      });
      cutAll();
      await closed;
    },
  };
}

function carry(from: Socket, to: Socket, isDeaf: () => boolean): void {
  from.on("data", (chunk) => {
    if (isDeaf() || to.destroyed || to.write(chunk)) return;
    from.pause();
    to.once("drain", () => from.resume());
  });
  const end = () => {
    from.destroy();
    if (!isDeaf()) to.destroy();
  };
  from.on("error", end);
  from.on("end", end);
  from.on("close", end);
}
